#!/usr/bin/env ruby
# bootstrap function hello.rb, or bootstrap command ./hello.rb
require "json"

event = JSON.parse($stdin.read)
warn "an event of #{event.size} members"
puts JSON.generate(greeting: "Hello, #{event.fetch("name")}!")
