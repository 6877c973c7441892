# A server of a few lines, one connection at a time, closed after each answer: bootstrap web ruby server.rb
require 'json'
require 'socket'
require 'uri'

server = TCPServer.new('127.0.0.1', ENV.fetch('PORT'))
loop do
  client = server.accept
  _, target, = client.gets.to_s.split
  next client.close unless target # Whoever only wanted to know whether somebody listens.

  fields = {}
  while (line = client.gets&.chomp) && !line.empty?
    name, value = line.split(': ', 2)
    fields[name.downcase] = value
  end
  body = client.read(fields.fetch('content-length', 0).to_i)
  uri = URI(target)
  if uri.path == '/invoke' # What is no HTTP request comes here: a timer, a message of a queue.
    warn "an event with id #{fields['x-fc-request-id']}"
    name = JSON.parse(body).fetch('name')
  else
    warn "a request with id #{fields['x-fc-request-id']}"
    name = URI.decode_www_form(uri.query.to_s).to_h.fetch('name', 'World')
  end
  answer = { greeting: "Hello, #{name}!" }.to_json
  client.write "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: #{answer.bytesize}\r\n\r\n#{answer}"
rescue StandardError => e
  client.write "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
  warn "#{e.class}: #{e.message}"
ensure
  client&.close
end
