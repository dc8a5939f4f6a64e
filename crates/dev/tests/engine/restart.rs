use serde_json::Value;
use std::net::{SocketAddr, TcpStream};

use crate::program::{Place, until};

#[tokio::test]
async fn bindings_stay_valid_and_data_goes() {
    let place = Place::new();
    let dev = place.serve(&[]);
    let gateway = place.client("gateway");
    let sessions = gateway.cache().keyspace::<Value>("session").unwrap();
    sessions.set("a", &Value::from(1)).await.unwrap();
    let uri = place.entry("gateway", "uri");
    assert_eq!(dev.end("-INT"), Some(0));
    let port: u16 = place.entry("gateway", "port").parse().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    assert!(TcpStream::connect(address).is_err());
    let _dev = place.serve(&[]);
    assert_eq!(place.entry("gateway", "uri"), uri);
    assert_eq!(sessions.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn data_stays_where_it_is_to_be_kept() {
    let place = Place::new();
    let dev = place.serve(&["--keep"]);
    let sessions = place.client("gateway").cache().keyspace::<Value>("session");
    let sessions = sessions.unwrap();
    sessions.set("a", &Value::from(1)).await.unwrap();
    assert_eq!(dev.end("-INT"), Some(0));
    let _dev = place.serve(&["--keep"]);
    assert_eq!(sessions.get("a").await.unwrap(), Some(Value::from(1)));
}

#[tokio::test]
async fn a_server_that_was_left_behind_is_ended_by_the_next() {
    let place = Place::new();
    let dev = place.serve(&[]);
    let uri = place.entry("gateway", "uri");
    dev.end("-KILL");
    let _dev = place.serve(&[]);
    assert_eq!(place.entry("gateway", "uri"), uri);
    let gateway = place.client("gateway");
    until("it serves", async || gateway.ping().await.is_ok()).await;
}

#[test]
fn a_folder_has_one_bus() {
    let place = Place::new();
    let _dev = place.serve(&[]);
    let output = place.run(&[]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("in use by another"), "{said}");
}

#[test]
fn a_server_that_does_not_start_is_told_with_what_it_said() {
    let place = Place::new();
    let _dev = place.serve(&[]);
    let port = place.entry("gateway", "port");
    let other = Place::new();
    let output = other.run(&["--port", &port]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the server ended"), "{said}");
    assert!(said.contains(&port), "{said}");
    let output = other.bare(&["--server", "/bin/echo"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no server that is supported"), "{said}");
}
