use cachebus::ErrorKind;
use serde_json::Value;

use crate::program::{Place, SAMPLE, until};

#[test]
fn a_wrong_file_is_told_by_its_fields_and_starts_nothing() {
    let place = Place::new();
    place.write(&SAMPLE.replace("subscribe: [agent, task]", "subscribe: [agent, tasks]"));
    let output = place.run(&[]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("spec.services[workflow_engine].subscribe[tasks]: spec.events.channels declares no tasks"),
        "{said}"
    );
    assert!(!place.path(".cachebus").exists());
    for arguments in [["--file", "none.yaml"], ["--keeep", "x"]] {
        assert_eq!(place.run(&arguments).status.code(), Some(2));
    }
}

#[tokio::test]
async fn a_change_of_the_file_is_taken_up_live() {
    let place = Place::new();
    let mut dev = place.serve(&[]);
    let designer = place.client("agent_designer");
    let gateway = place.client("gateway");
    let sessions = gateway.cache().keyspace::<Value>("session").unwrap();
    sessions.set("a", &Value::from(1)).await.unwrap();
    assert!(designer.cache().keyspace::<Value>("session").is_err());

    // Mid-way, and then back.
    place.write(&SAMPLE.replace("kind: CacheBus", "kind: CacheBus\nspec: ["));
    let said = dev.until("stays as it was");
    assert!(said.contains("cachebus.yaml"), "{said}");
    sessions.set("a", &Value::from(2)).await.unwrap();

    place.write(&SAMPLE.replace("read: [metrics]", "read: [metrics, session]"));
    let said = dev.until("rights of");
    assert!(said.contains("rights of agent_designer\n"), "{said}");
    until("the client has the new contract", async || {
        designer.cache().keyspace::<Value>("session").is_ok()
    })
    .await;
    let read = designer.cache().keyspace::<Value>("session").unwrap();
    assert_eq!(read.get("a").await.unwrap(), Some(Value::from(2)));

    // The gateway is the last of the services.
    let without = SAMPLE.split_once("    - name: gateway").unwrap().0;
    place.write(&without.replace("max: 2Gi", "max: 1Gi"));
    let said = dev.until("removed gateway");
    assert!(said.contains("rights of agent_designer"), "{said}");
    assert!(said.contains("maxmemory"), "{said}");
    assert!(!place.binding("gateway").exists());
    let error = sessions.get("a").await.unwrap_err();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::AuthenticationFailed | ErrorKind::Unavailable
        ),
        "{error}"
    );

    // A service that comes back has the password that it had.
    place.write(SAMPLE);
    dev.until("gateway");
    until("the gateway is let in again", async || {
        sessions.get("a").await.is_ok()
    })
    .await;
    assert_eq!(dev.end("-TERM"), Some(0));
}
