use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use cachebus::{CacheBus, ErrorKind, Source};
use cachebus_admin::{Credentials, Server};
use serde_json::{Value, json};

use crate::program::{Place, endpoint, until};

#[tokio::test]
async fn a_service_does_what_its_contract_allows() {
    let place = Place::new();
    let _dev = place.serve(&[]);
    let engine = place.client("workflow_engine");
    let dashboard = place.client("dashboard");

    let tasks = engine.cache().keyspace::<Value>("task").unwrap();
    tasks.set(7, &json!({"state": "new"})).await.unwrap();
    let seen = dashboard.cache().keyspace::<Value>("task").unwrap();
    assert_eq!(seen.get(7).await.unwrap(), Some(json!({"state": "new"})));

    let mut live = dashboard.events().subscribe(&["task"]).await.unwrap();
    let handled = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&handled);
    let consumer = dashboard
        .events()
        .consumer()
        .on("task:created", move |_| {
            *counted.lock().unwrap() += 1;
            async { Ok::<_, std::convert::Infallible>(()) }
        })
        .unwrap();
    let (stopper, run) = (consumer.stopper(), tokio::spawn(consumer.run()));
    let event = engine.events().event("task:created", &json!({"id": 7}));
    let event = event.unwrap();
    engine.events().emit(&event).await.unwrap();
    engine.events().emit(&event).await.unwrap();
    assert_eq!(live.next().await.unwrap().event_id, event.event_id);
    until("the durable event is handled", async || {
        *handled.lock().unwrap() > 0
    })
    .await;
    stopper.stop();
    run.await.unwrap().unwrap();
    assert_eq!(*handled.lock().unwrap(), 1, "it was emitted once");

    let locks = engine.locks("lock").unwrap();
    let lock = locks.lock_within("orders", Duration::from_secs(5)).await;
    lock.unwrap().release().await.unwrap();
}

#[tokio::test]
async fn and_nothing_beyond_it() {
    let place = Place::new();
    let _dev = place.serve(&[]);
    let dashboard = place.client("dashboard");
    let error = dashboard
        .cache()
        .keyspace::<Value>("session")
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::ContractError);

    // The server does not go by what a service takes for its contract.
    let contract = place.entry("dashboard", "contract.json");
    let forged = contract.replace("\"agent:{id}\"", "\"session:{id}\"");
    assert_ne!(forged, contract);
    let forged = Source::url(place.entry("dashboard", "uri"), forged);
    let forged = CacheBus::open(forged).unwrap();
    let sessions = forged.cache().keyspace::<Value>("agent").unwrap();
    let error = sessions.get("of-a-person").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);

    let port = place.entry("dashboard", "port").parse().unwrap();
    let endpoint = endpoint(port);
    let password = place.entry("dashboard", "password");
    let login = Credentials::new("dashboard", password);
    let server = Server::connect(&endpoint, Some(&login)).await.unwrap();
    let error = server.flush_all().await.unwrap_err();
    assert_eq!(error.code(), Some("NOPERM"));
    let error = Server::connect(&endpoint, None).await.unwrap_err();
    assert_eq!(error.code(), Some("NOAUTH"));
}

#[test]
fn a_binding_is_as_on_a_cluster_without_what_there_is_not() {
    let place = Place::new();
    let _dev = place.serve(&[]);
    let mut entries: Vec<_> = fs::read_dir(place.binding("dashboard"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    entries.sort();
    assert_eq!(
        entries,
        [
            "contract.json",
            "host",
            "password",
            "port",
            "provider",
            "tls",
            "type",
            "uri",
            "username",
        ]
    );
    assert_eq!(place.entry("dashboard", "tls"), "false");
    assert_eq!(place.entry("dashboard", "provider"), "cachebus");
    let (port, password) = (
        place.entry("dashboard", "port"),
        place.entry("dashboard", "password"),
    );
    assert_eq!(
        place.entry("dashboard", "uri"),
        format!("redis://dashboard:{password}@127.0.0.1:{port}/0")
    );
}

#[test]
fn passwords_are_in_no_output_no_argument_and_no_file_of_others() {
    let place = Place::new();
    let dev = place.serve(&[]);
    let password = place.entry("gateway", "password");
    assert!(!dev.greeting.contains(&password), "{}", dev.greeting);
    assert!(
        dev.greeting.contains("/bindings/gateway"),
        "{}",
        dev.greeting
    );
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let arguments: Vec<String> = processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .map(|arguments| String::from_utf8_lossy(&arguments).into_owned())
        .collect();
    // Servers put their address in the place of their arguments.
    let address = format!("127.0.0.1:{}", place.entry("gateway", "port"));
    assert!(arguments.iter().any(|all| all.contains(&address)));
    assert!(!arguments.iter().any(|all| all.contains(&password)));
    let state = place.path(".cachebus");
    assert_eq!(
        fs::metadata(&state).unwrap().permissions().mode() & 0o777,
        0o700
    );
    for (file, holds) in [
        ("passwords.json", true),
        ("users.acl", false),
        ("server.conf", false),
        ("server.log", false),
    ] {
        let text = fs::read_to_string(state.join(file)).unwrap();
        assert_eq!(text.contains(&password), holds, "{file}");
    }
    assert_eq!(dev.end("-INT"), Some(0));
    let shown = place.serve(&["--show"]);
    assert!(shown.greeting.contains(&password));
}
