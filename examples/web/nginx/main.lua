-- Requests, and under /invoke what is no HTTP request: a timer, a message of a queue.
local id = ngx.req.get_headers()['x-fc-request-id']
local name
if ngx.var.uri == '/invoke' then
  ngx.req.read_body()
  ngx.log(ngx.NOTICE, 'an event with id ', id)
  name = ngx.req.get_body_data():match('"name"%s*:%s*"([^"]*)"')
  if not name then
    return ngx.exit(500)
  end
else
  ngx.log(ngx.NOTICE, 'a request with id ', id)
  name = ngx.var.arg_name or 'World'
end
ngx.print('{"greeting":"Hello, ', name, '!"}')
