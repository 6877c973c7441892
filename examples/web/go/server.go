// A server of Go's standard library: CGO_ENABLED=0 go build server.go, then `bootstrap web ./server`.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"
)

func greet(response http.ResponseWriter, name string) {
	response.Header().Set("Content-Type", "application/json")
	json.NewEncoder(response).Encode(map[string]string{"greeting": "Hello, " + name + "!"})
}

func main() {
	http.HandleFunc("/", func(response http.ResponseWriter, request *http.Request) {
		log.Println("a request with id", request.Header.Get("X-Fc-Request-Id"))
		name := request.URL.Query().Get("name")
		if name == "" {
			name = "World"
		}
		greet(response, name)
	})
	// What is no HTTP request comes here: a timer, a message of a queue.
	http.HandleFunc("/invoke", func(response http.ResponseWriter, request *http.Request) {
		log.Println("an event with id", request.Header.Get("X-Fc-Request-Id"))
		var event struct{ Name string }
		if err := json.NewDecoder(request.Body).Decode(&event); err != nil || event.Name == "" {
			http.Error(response, "the event has no name", http.StatusInternalServerError)
			return
		}
		greet(response, event.Name)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
