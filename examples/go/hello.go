// CGO_ENABLED=0 go build hello.go, then: bootstrap function hello, or bootstrap command ./hello
package main

import (
	"encoding/json"
	"log"
	"os"
)

func main() {
	var event struct{ Name string }
	if err := json.NewDecoder(os.Stdin).Decode(&event); err != nil {
		log.Fatal("BadEvent: ", err)
	}
	log.Printf("an event with the name %q", event.Name)
	if event.Name == "" {
		log.Fatal("BadEvent: the event has no name")
	}
	answer := map[string]string{"greeting": "Hello, " + event.Name + "!"}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		log.Fatal(err)
	}
}
