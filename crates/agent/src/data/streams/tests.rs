#![allow(clippy::unwrap_used)]

use super::*;
use cachebus_admin::Endpoint;
use cachebus_core::protocol::DurableChannels;
use std::sync::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// Of what one look has, more than half.
const SLOW: Duration = Duration::from_millis(60);

/// First words of the commands that a server was sent.
type Asked = Arc<Mutex<Vec<String>>>;

/// A server that takes its time with whatever changes something. Each of its streams has groups that no service has, and more to
/// trim than one call does.
async fn slow_server() -> (Server, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Asked::default();
    let noted = Arc::clone(&asked);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        answer(stream, &noted).await;
    });
    let server = Server::connect(&Endpoint::new("127.0.0.1", port), None).await;
    asked.lock().unwrap().clear();
    (server.unwrap(), asked)
}

async fn answer(stream: TcpStream, asked: &Asked) {
    let groups: Vec<String> = (0..9)
        .map(|number| format!("*5\r\n$2\r\ng{number}\r\n:0\r\n:0\r\n:0\r\n:0\r\n"))
        .collect();
    let backlog = format!("*4\r\n:1\r\n:1\r\n:20000\r\n*9\r\n{}", groups.concat());
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(number)) = lines.next_line().await {
        let mut words = Vec::new();
        for _ in 0..number[1..].parse::<usize>().unwrap() {
            let _length = lines.next_line().await.unwrap();
            words.push(lines.next_line().await.unwrap().unwrap());
        }
        let word = words.swap_remove(0);
        asked.lock().unwrap().push(word.clone());
        let (reply, late) = match word.as_str() {
            "PING" => ("+PONG\r\n", false),
            "FCALL_RO" => (backlog.as_str(), false),
            "FCALL" => ("*4\r\n:10000\r\n:0\r\n:10000\r\n*0\r\n", true),
            _ => (":1\r\n", true),
        };
        if late {
            sleep(SLOW).await;
        }
        write.write_all(reply.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_slow_is_held_up_for_a_while_only_and_trims_all_the_same() {
    let (server, asked) = slow_server().await;
    let events = DurableEvents {
        channels: vec![DurableChannels {
            name: "task".to_owned(),
            events: vec!["created".to_owned(), "done".to_owned()],
            retention_ms: 1,
        }],
        ..DurableEvents::default()
    };
    let mut streams = Streams::new();
    streams.begin(&events);
    for left in [1, 0] {
        streams.look(&server, 0, true).await.unwrap();
        assert_eq!(streams.left.len(), left);
        let words = std::mem::take(&mut *asked.lock().unwrap());
        let number = |of: &str| words.iter().filter(|word| *word == of).count();
        assert_eq!(number("FCALL_RO"), 1, "{words:?}");
        assert!((1..=2).contains(&number("XGROUP")), "{words:?}");
        assert_eq!(number("FCALL"), 1, "{words:?}");
    }
    assert!(streams.has_looked);
}
