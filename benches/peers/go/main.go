// An echo on net/http, to measure others against: the whole event before the answer, as a function
// needs it.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
)

func main() {
	port := os.Getenv("FC_SERVER_PORT")
	if port == "" {
		port = "9000"
	}
	log.Fatal(http.ListenAndServe("0.0.0.0:"+port, http.HandlerFunc(echo)))
}

func echo(response http.ResponseWriter, request *http.Request) {
	event := make([]byte, request.ContentLength)
	if _, err := io.ReadFull(request.Body, event); err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	response.Header().Set("Content-Type", "application/octet-stream")
	response.Header().Set("Content-Length", strconv.Itoa(len(event)))
	// A client that goes away ends its connection, and that is all.
	_, _ = response.Write(event)
}
