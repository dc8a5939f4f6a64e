use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use cachebus_admin::Server;
use serde_json::Value;

use crate::program::{Dev, Place, endpoint, executable, until};

/// A server that somebody has started.
struct Given {
    child: Child,
    port: u16,
}

impl Given {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let child = Command::new(executable())
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--dir", "/tmp"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let given = Self { child, port };
        until("the server serves", async || given.admin().await.is_some()).await;
        given
    }

    async fn admin(&self) -> Option<Server> {
        let server = Server::connect(&endpoint(self.port), None).await;
        let server = server.ok()?;
        server.ping().await.ok().map(|()| server)
    }

    /// Sends one command and waits for its answer.
    fn say(&self, command: &str) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        writeln!(stream, "{command}\r").unwrap();
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"+OK");
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    async fn users(&self) -> Vec<String> {
        self.admin().await.unwrap().acl().users().await.unwrap()
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_running_server_is_used_again_and_again_where_it_was_empty() {
    let given = Given::start().await;
    let place = Place::new();
    let connect = ["--connect", &given.url()];
    let dev = Dev::start(place.bare(&connect));
    let sessions = place.client("gateway").cache().keyspace::<Value>("session");
    let sessions = sessions.unwrap();
    sessions.set("a", &Value::from(1)).await.unwrap();
    assert_eq!(dev.end("-INT"), Some(0));
    // It is not ended, and known again though it holds data.
    let dev = Dev::start(place.bare(&connect));
    assert_eq!(sessions.get("a").await.unwrap(), Some(Value::from(1)));
    assert_eq!(dev.end("-INT"), Some(0));
    let users = given.users().await;
    assert!(users.contains(&"default".to_owned()), "{users:?}");
    assert!(!users.contains(&"operator".to_owned()), "{users:?}");
}

#[tokio::test]
async fn one_that_holds_data_or_is_a_bus_is_left_alone() {
    let place = Place::new();
    let given = Given::start().await;
    let refused = |why: &str| {
        let output = place.bare(&["--connect", &given.url()]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(why), "{said}");
    };
    let admin = given.admin().await.unwrap();
    admin.acl().set_user("operator", &["off"]).await.unwrap();
    refused("it belongs to a CacheBus");
    admin.acl().del_user("operator").await.unwrap();
    given.say("SET mine 1");
    refused("it holds 1 keys");
    assert_eq!(given.users().await, ["default"]);
    assert_eq!(admin.functions().code("cachebus").await.unwrap(), None);
}

#[tokio::test]
async fn a_command_leaves_nothing_on_it() {
    let given = Given::start().await;
    let place = Place::new();
    let script = "cat $SERVICE_BINDING_ROOT/gateway/port";
    let output = place
        .bare(&["--connect", &given.url(), "--", "sh", "-c", script])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(&given.port.to_string()), "{said}");
    assert_eq!(given.users().await, ["default"]);
    let admin = given.admin().await.unwrap();
    for library in ["cachebus", "cachebus_dev"] {
        assert_eq!(admin.functions().code(library).await.unwrap(), None);
    }
}
