// An Express app: npm install, then `bootstrap web node server.js`.
const express = require('express')

const app = express()
const id = (request) => request.get('X-Fc-Request-Id')

app.get('/', (request, response) => {
  console.log('a request with id', id(request))
  response.json({ greeting: `Hello, ${request.query.name ?? 'World'}!` })
})

// What is no HTTP request comes here: a timer, a message of a queue. Its bytes are not said to be JSON.
app.post('/invoke', express.raw(), (request, response) => {
  console.log('an event with id', id(request))
  response.json({ greeting: `Hello, ${JSON.parse(request.body).name}!` })
})

app.listen(process.env.PORT, '127.0.0.1')
