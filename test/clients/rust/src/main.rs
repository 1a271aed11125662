//! One stream client of crates.io: `clients NAME URL ENCODING`. Prints a line of JSON for each thing that it sees.
use futures::StreamExt;
use reqwest_eventsource::{Event, RequestBuilderExt};
use serde_json::{json, Value};
use std::time::Duration;

fn say(seen: Value) {
    println!("{seen}");
}

fn saw(event: &str, id: &str, data: &str) {
    say(json!({ "event": if event.is_empty() { "message" } else { event }, "id": id, "data": data }));
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (name, url, gzip) = (&args[1], &args[2], args[3] == "gzip");
    let client = reqwest::Client::builder().gzip(gzip).build().unwrap();
    match name.as_str() {
        // It comes back by itself, but not from a status that is an error.
        "reqwest-eventsource" => {
            let mut source = client.get(url).eventsource().unwrap();
            while let Some(event) = source.next().await {
                match event {
                    Ok(Event::Open) => {}
                    Ok(Event::Message(message)) => saw(&message.event, &message.id, &message.data),
                    Err(reqwest_eventsource::Error::StreamEnded) => say(json!({ "end": true })),
                    Err(error) => say(json!({ "error": error.to_string() })),
                }
            }
        }
        _ => {
            let mut last = String::new();
            loop {
                let mut request = client.get(url).header("accept", "text/event-stream");
                if !last.is_empty() {
                    request = request.header("last-event-id", &last);
                }
                match request.send().await.and_then(|response| response.error_for_status()) {
                    Err(error) => say(json!({ "error": error.to_string() })),
                    Ok(response) => {
                        let mut parts = response.bytes_stream();
                        let mut text = String::new();
                        let mut failed = false;
                        while let Some(part) = parts.next().await {
                            match part {
                                Ok(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
                                Err(error) => {
                                    failed = true;
                                    say(json!({ "error": error.to_string() }));
                                    break;
                                }
                            }
                            while let Some(end) = text.find("\n\n") {
                                let block: String = text.drain(..end + 2).collect();
                                let field = |key: &str| block.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("").to_string();
                                let id = field("id: ");
                                if !id.is_empty() {
                                    last = id.clone();
                                }
                                saw(&field("event: "), &id, &field("data: "));
                            }
                        }
                        if !failed {
                            say(json!({ "end": true }));
                        }
                    }
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
}
