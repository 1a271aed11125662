// One stream client of Go's module proxy: `clients NAME URL ENCODING`. Prints a line of JSON for each thing that it sees.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	donovanhide "github.com/donovanhide/eventsource"
	launchdarkly "github.com/launchdarkly/eventsource"
	r3labs "github.com/r3labs/sse/v2"
	tmaxmax "github.com/tmaxmax/go-sse"
)

func say(seen map[string]any) {
	line, _ := json.Marshal(seen)
	fmt.Println(string(line))
}

func saw(event, id, data string) {
	if event == "" {
		event = "message"
	}
	say(map[string]any{"event": event, "id": id, "data": data})
}

func failed(err error) { say(map[string]any{"error": err.Error()}) }

// net/http asks for gzip by itself and decodes it, unless told what to accept.
func request(url, encoding string) *http.Request {
	request, _ := http.NewRequest("GET", url, nil)
	request.Header.Set("Accept", "text/event-stream")
	if encoding != "gzip" {
		request.Header.Set("Accept-Encoding", encoding)
	}
	return request
}

func main() {
	name, url, encoding := os.Args[1], os.Args[2], os.Args[3]
	switch name {
	case "net/http":
		last := ""
		for {
			asked := request(url, encoding)
			if last != "" {
				asked.Header.Set("Last-Event-ID", last)
			}
			response, err := http.DefaultClient.Do(asked)
			if err == nil && response.StatusCode != 200 {
				body, _ := io.ReadAll(response.Body)
				err = fmt.Errorf("%d %s", response.StatusCode, body)
			}
			if err == nil {
				event, id, data := "", "", ""
				lines := bufio.NewScanner(response.Body)
				for lines.Scan() {
					field, value, _ := strings.Cut(lines.Text(), ":")
					value = strings.TrimPrefix(value, " ")
					switch field {
					case "event":
						event = value
					case "id":
						id = value
						last = value
					case "data":
						data = value
					}
					if lines.Text() == "" {
						saw(event, id, data)
						event, id, data = "", "", ""
					}
				}
				err = lines.Err()
			}
			if err == nil {
				say(map[string]any{"end": true})
			} else {
				failed(err)
			}
			time.Sleep(500 * time.Millisecond)
		}
	case "r3labs/sse":
		client := r3labs.NewClient(url)
		if encoding != "gzip" {
			client.Headers["Accept-Encoding"] = encoding
		}
		client.OnDisconnect(func(*r3labs.Client) { say(map[string]any{"end": true}) })
		failed(fmt.Errorf("it gave up: %v", client.SubscribeRaw(func(event *r3labs.Event) {
			saw(string(event.Event), string(event.ID), string(event.Data))
		})))
	case "tmaxmax/go-sse":
		client := tmaxmax.Client{OnRetry: func(err error, _ time.Duration) { failed(err) }, Backoff: tmaxmax.Backoff{InitialInterval: 500 * time.Millisecond, MaxRetries: 20}}
		connection := client.NewConnection(request(url, encoding))
		connection.SubscribeToAll(func(event tmaxmax.Event) { saw(event.Type, event.LastEventID, event.Data) })
		failed(fmt.Errorf("it gave up: %v", connection.Connect()))
	case "launchdarkly/eventsource":
		stream, err := launchdarkly.SubscribeWithRequestAndOptions(request(url, encoding), launchdarkly.StreamOptionInitialRetry(500*time.Millisecond), launchdarkly.StreamOptionErrorHandler(func(err error) launchdarkly.StreamErrorHandlerResult {
			failed(err)
			return launchdarkly.StreamErrorHandlerResult{}
		}))
		if err != nil {
			failed(err)
			break
		}
		for event := range stream.Events {
			saw(event.Event(), event.Id(), event.Data())
		}
	case "donovanhide/eventsource":
		stream, err := donovanhide.SubscribeWithRequest("", request(url, encoding))
		if err != nil {
			failed(err)
			break
		}
		go func() {
			for err := range stream.Errors {
				failed(err)
			}
		}()
		for event := range stream.Events {
			saw(event.Event(), event.Id(), event.Data())
		}
	}
	select {}
}
