//! A bus under load: stock clients of two languages that write and read in the cluster and keep a history of it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use cachebus_e2e::history::{Finals, Record, contract};
use serde_json::{Value, json};

use crate::bus::Bus;
use crate::client_pod::{ClientPod, Program};
use crate::nodes::Node;
use crate::watch;

/// The image of the client in Python, as the lab loads it.
const PYTHON: &str = "localhost/cachebus-e2e-python:dev";

/// What the client in Python runs.
const PYTHON_WRITERS: &str = include_str!("../python/writers.py");

/// Writes a second of each writer in Python: enough to see a gap, and it leaves the machine to the rest.
const PYTHON_RATE: &str = "50";

/// Time for clients to be started and to write.
const STARTED: Duration = Duration::from_secs(90);

/// Ends the writers in Python, and prints their history.
const COLLECT_PYTHON: &str =
    "kill -TERM 1; until [ -e /history/closed ]; do sleep 0.05; done; cat /history/records";

/// How the clients write.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Writes a second of all those in Rust together.
    pub rate: u32,
    /// Replicas that have to have a write of those in Rust before it counts as acknowledged.
    pub confirm: u32,
    /// The same of those in Python.
    pub confirm_python: u32,
}

/// Clients that write and read.
pub struct Load {
    rust: ClientPod,
    python: ClientPod,
}

/// A part of a spec: what a bus has to grant the clients.
pub fn granted() -> Value {
    let writers: Vec<&str> = contract::writers().collect();
    watch::granted(json!({
        "memory": {"policy": "noeviction"},
        "events": {"channels": [{"name": contract::GROUP, "events": writers, "history": 100}]},
        "services": [{
            "name": contract::SERVICE,
            "publish": [contract::GROUP],
            "subscribe": [contract::GROUP],
        }],
    }))
}

impl Load {
    /// Starts the clients, on other nodes than `apart_from`, and waits until each writes. `run` marks their values.
    pub async fn start(
        bus: &Bus,
        run: &str,
        style: Style,
        apart_from: Option<&str>,
    ) -> anyhow::Result<Self> {
        let [rate, confirm, confirm_python] =
            [style.rate, style.confirm, style.confirm_python].map(|figure| figure.to_string());
        let arguments = [
            "writers",
            "--run",
            run,
            "--rate",
            &rate,
            "--confirm",
            &confirm,
        ];
        let rust = Program {
            apart_from,
            ..Program::rust(&arguments)
        };
        let python_arguments = [run, PYTHON_RATE, &confirm_python];
        let python = Program {
            image: PYTHON,
            command: &["python3", "-B", "/input/writers.py"],
            arguments: &python_arguments,
            input: Some(("writers.py", PYTHON_WRITERS.to_owned())),
            apart_from,
            restarted: false,
        };
        let (namespace, binding) = (bus.names.namespace(), bus.names.binding(contract::SERVICE));
        let start = async |name, program| {
            let pod = ClientPod::run(&bus.client, namespace, name, &binding, program);
            let pod = Box::pin(pod).await?;
            pod.await_line("writing", STARTED).await?;
            anyhow::Ok(pod)
        };
        let (rust, python) = tokio::try_join!(start("rust", rust), start("python", python))?;
        Ok(Self { rust, python })
    }

    /// Ends the clients. What they did and saw.
    pub async fn stop(self) -> anyhow::Result<Vec<Record>> {
        let (rust, python) = tokio::try_join!(
            Box::pin(self.rust.exec(&["/cachebus-e2e-client", "collect"])),
            Box::pin(self.python.exec(&["sh", "-euc", COLLECT_PYTHON])),
        )?;
        tokio::try_join!(Box::pin(self.rust.end()), Box::pin(self.python.end()))?;
        rust.lines()
            .chain(python.lines())
            .map(|line| serde_json::from_str(line).with_context(|| format!("the line {line}")))
            .collect()
    }
}

/// The lists as the primary has them, of one load alone. They are emptied: a next load begins anew.
pub async fn finals(bus: &Bus, run: &str) -> anyhow::Result<Finals> {
    let mark = format!("{run}-");
    let primary = bus.primary().await?;
    let place = bus
        .data_places()
        .into_iter()
        .find(|place| place.pod == primary)
        .with_context(|| format!("{primary} is no pod of the bus"))?;
    // As the service itself: agents end the sessions of users that nobody ordered.
    let access = bus.access().await?;
    let node = Node::open(&bus.client, &access, &place, contract::SERVICE).await?;
    let mut finals = BTreeMap::new();
    for writer in contract::writers() {
        let key = contract::key(writer);
        let newest_first: Vec<String> = node.call(&["LRANGE", &key, "0", "-1"]).await?;
        // From the second to the first: nothing is left.
        node.call::<()>(&["LTRIM", &key, "1", "0"]).await?;
        let own = newest_first.into_iter().rev();
        let own = own.filter(|value| value.starts_with(&mark)).collect();
        finals.insert(key, own);
    }
    Ok(finals)
}
