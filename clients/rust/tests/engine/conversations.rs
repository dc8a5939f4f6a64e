//! `functions/vectors/conversations.json`: calls of the function library and what a server says to them, as every client takes it.

use redis::Value;
use serde_json::Value as Json;

use crate::bus::{server, url};

const CONVERSATIONS: &str = include_str!("../../../../functions/vectors/conversations.json");

#[derive(serde::Deserialize)]
struct Vectors {
    conversations: Vec<Conversation>,
}

#[derive(serde::Deserialize)]
struct Conversation {
    name: String,
    steps: Vec<Step>,
}

#[derive(serde::Deserialize)]
struct Step {
    send: Vec<String>,
    reply: Option<Json>,
    error: Option<String>,
}

#[tokio::test]
async fn conversations() {
    let vectors: Vectors = serde_json::from_str(CONVERSATIONS).unwrap();
    assert!(!vectors.conversations.is_empty());
    for conversation in vectors.conversations {
        let process = server(&[]).await;
        let client = redis::Client::open(url(&process)).unwrap();
        let mut worker = client.get_multiplexed_async_connection().await.unwrap();
        for Step { send, reply, error } in conversation.steps {
            let mut command = redis::cmd(&send[0]);
            command.arg(&send[1..]);
            let said = command.query_async::<Value>(&mut worker).await;
            let about = format!("{}: {send:?}: {said:?}", conversation.name);
            match (said, reply, error) {
                (Ok(said), Some(reply), None) => assert!(fits(&said, &reply), "{about}"),
                (Err(said), None, Some(error)) => {
                    assert_eq!(said.code(), Some(error.as_str()), "{about}");
                }
                _ => panic!("{about}"),
            }
        }
    }
}

fn fits(said: &Value, wanted: &Json) -> bool {
    match (said, wanted) {
        (Value::Int(_), Json::String(wanted)) => wanted == "$int",
        (Value::Int(said), Json::Number(wanted)) => wanted.as_i64() == Some(*said),
        (Value::Okay, Json::String(wanted)) => wanted == "OK",
        (Value::BulkString(said), Json::String(wanted)) => {
            let said = String::from_utf8_lossy(said);
            if wanted == "$id" {
                is_stream_id(&said)
            } else {
                said == *wanted
            }
        }
        (Value::Array(said), Json::Array(wanted)) => {
            said.len() == wanted.len() && std::iter::zip(said, wanted).all(|(s, w)| fits(s, w))
        }
        _ => false,
    }
}

fn is_stream_id(text: &str) -> bool {
    text.split_once('-').is_some_and(|parts| {
        [parts.0, parts.1]
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    })
}
