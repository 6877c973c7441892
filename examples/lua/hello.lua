#!/usr/bin/env lua
-- bootstrap function hello.lua, or bootstrap command ./hello.lua

local event = io.read("*a")
io.stderr:write("an event of ", #event, " bytes\n")
if event == "" then
    error("there is nothing to answer")
end
io.write('{"hello":"lua","event":', event, "}")
