// Node.js's own server: bootstrap web node server.mjs
import { createServer } from 'node:http'

createServer(async (request, response) => {
  const id = request.headers['x-fc-request-id']
  const url = new URL(request.url, 'http://localhost')
  try {
    let name
    if (url.pathname === '/invoke') {
      // What is no HTTP request comes here: a timer, a message of a queue.
      console.log('an event with id', id)
      const pieces = []
      for await (const piece of request) pieces.push(piece)
      name = JSON.parse(Buffer.concat(pieces)).name
    } else {
      console.log('a request with id', id)
      name = url.searchParams.get('name') ?? 'World'
    }
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify({ greeting: `Hello, ${name}!` }))
  } catch (error) {
    response.writeHead(500).end(String(error))
  }
}).listen(process.env.PORT, '127.0.0.1')
