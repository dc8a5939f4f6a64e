//! What each TLS mode lets in.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use cachebus_core::names::{API_PORT, Component, HTTP_PORT};
use rustls::ClientConfig;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Scenario;
use crate::access::{entries, tls};
use crate::agreement;
use crate::bus::{Bus, small};
use crate::lab::Lab;
use crate::nodes::{Bytes, OPERATOR, Place, dial, dial_plain};

/// Time for a server to answer or to end a connection that it does not want.
const LIMIT: Duration = Duration::from_secs(5);

pub const SCENARIO: Scenario = Scenario {
    name: "tls_modes",
    proves: "Required refuses plain text on every port but that of probes and metrics, and certificates of another authority; Optional and Disabled let in what they say",
    alone: false,
    by_turns: false,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let (required, optional, disabled) = futures::try_join!(
        ready(&lab, &namespace, "required", "Required"),
        ready(&lab, &namespace, "optional", "Optional"),
        ready(&lab, &namespace, "disabled", "Disabled"),
    )?;
    refuses_plain_text(&required).await?;
    serves_probes_and_metrics_alone(&required).await?;
    refuses_another_authority(&required, &optional).await?;
    lets_in_both(&optional).await?;
    speaks_plain_text_alone(&disabled).await
}

async fn ready(lab: &Lab, namespace: &str, name: &str, mode: &str) -> anyhow::Result<Bus> {
    let spec = small(json!({"replicas": 1, "tls": {"mode": mode}}))?;
    let bus = Bus::ready(lab, namespace, name, spec).await?;
    agreement::check(&bus).await?;
    lab.note(format_args!("{mode}: Ready, all agree"));
    Ok(bus)
}

/// Every port of the bus that means business: servers, Sentinels, agents' API.
fn every_port(bus: &Bus) -> Vec<Place> {
    let places: Vec<Place> = [bus.data_places(), bus.sentinel_places()].concat();
    let agents = places.iter().map(|place| Place {
        port: API_PORT,
        tls: true,
        ..place.clone()
    });
    let agents: Vec<Place> = agents.collect();
    [places, agents].concat()
}

async fn refuses_plain_text(bus: &Bus) -> anyhow::Result<()> {
    let plain = [
        Place {
            port: bus.spec.tls.plaintext_port,
            ..bus.place(Component::Redis, 0)
        },
        Place {
            port: bus.spec.tls.sentinel_plaintext_port,
            ..bus.place(Component::Sentinel, 0)
        },
    ];
    for place in every_port(bus).into_iter().chain(plain) {
        let answer = ping_plain(bus, &place).await;
        if let Ok(answer) = answer {
            bail!(
                "{}:{} answered plain text: {answer:?}",
                place.pod,
                place.port
            );
        }
    }
    Ok(())
}

/// The one port that speaks plain text in every mode: nobody logs in there, and nothing is to be had but probes and metrics.
async fn serves_probes_and_metrics_alone(bus: &Bus) -> anyhow::Result<()> {
    for place in [
        bus.place(Component::Redis, 0),
        bus.place(Component::Sentinel, 0),
    ] {
        for (request, answer) in [
            ("GET /livez", "200"),
            ("GET /readyz", "200"),
            ("GET /startupz", "200"),
            ("GET /metrics", "200"),
            ("GET /", "404"),
            ("GET /v1/status", "404"),
            ("PUT /v1/topology", "404"),
            ("PUT /v1/config", "404"),
            ("PUT /v1/acl", "404"),
            ("PUT /v1/monitor", "404"),
            ("POST /metrics", "405"),
        ] {
            let words = format!("{request} HTTP/1.1\r\nHost: pod\r\nContent-Length: 0\r\n\r\n");
            let said = say(bus, &place.pod, HTTP_PORT, words.as_bytes()).await?;
            ensure!(
                said.starts_with(&format!("HTTP/1.1 {answer} ")),
                "{}:{HTTP_PORT} answers {request} with {said:?}",
                place.pod
            );
        }
        let said = say(bus, &place.pod, HTTP_PORT, b"PING\r\n").await?;
        ensure!(
            said.is_empty() || said.starts_with("HTTP/1.1 400 "),
            "{}:{HTTP_PORT} answers PING with {said:?}",
            place.pod
        );
    }
    Ok(())
}

/// The beginning of what a port answers to these words in plain text. Empty: it ends the connection.
async fn say(bus: &Bus, pod: &str, port: u16, words: &[u8]) -> anyhow::Result<String> {
    let mut stream = dial_plain(&bus.client, bus.names.namespace(), pod, port).await?;
    let answering = async {
        stream.write_all(words).await?;
        stream.flush().await?;
        let mut answer = vec![0; 64];
        let length = stream.read(&mut answer).await?;
        answer.truncate(length);
        anyhow::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::time::timeout(LIMIT, answering)
        .await
        .with_context(|| format!("{pod}:{port} does not answer"))?
}

async fn refuses_another_authority(bus: &Bus, other: &Bus) -> anyhow::Result<()> {
    let access = bus.access().await?;
    let other_authority = authority(other).await?;
    let foreign = foreign_identity(bus, other).await?;
    let strangers = tls(&other_authority, None)?;
    for place in every_port(bus) {
        let trusting_another = exchange_tls(bus, &place, &strangers).await;
        ensure!(
            trusting_another.is_err(),
            "{}:{} shows a certificate of another authority",
            place.pod,
            place.port
        );
        let showing_another = exchange_tls(bus, &place, &foreign).await;
        ensure!(
            showing_another.is_err(),
            "{}:{} takes a certificate of another authority: {showing_another:?}",
            place.pod,
            place.port
        );
        // The same way is open with the bus's own authority, so that the refusals mean something.
        exchange_tls(bus, &place, &access.operator_tls)
            .await
            .with_context(|| format!("{}:{} with its own certificate", place.pod, place.port))?;
    }
    let anonymous = Place {
        port: API_PORT,
        ..bus.place(Component::Redis, 0)
    };
    ensure!(
        exchange_tls(bus, &anonymous, &access.tls).await.is_err(),
        "an agent obeys a client without a certificate"
    );
    Ok(())
}

async fn lets_in_both(bus: &Bus) -> anyhow::Result<()> {
    let access = bus.access().await?;
    for (component, port) in [
        (Component::Redis, bus.spec.tls.plaintext_port),
        (Component::Sentinel, bus.spec.tls.sentinel_plaintext_port),
    ] {
        let place = bus.place(component, 0);
        exchange_tls(bus, &place, &access.tls)
            .await
            .context("in TLS")?;
        let plain = Place {
            port,
            tls: false,
            ..place
        };
        let node = crate::nodes::Node::open(&bus.client, &access, &plain, OPERATOR).await?;
        node.call::<String>(&["PING"])
            .await
            .context("in plain text")?;
    }
    let agent = Place {
        port: API_PORT,
        ..bus.place(Component::Redis, 0)
    };
    ensure!(
        ping_plain(bus, &agent).await.is_err(),
        "an agent answers plain text"
    );
    Ok(())
}

async fn speaks_plain_text_alone(bus: &Bus) -> anyhow::Result<()> {
    let access = bus.access().await?;
    for place in [
        bus.place(Component::Redis, 0),
        bus.place(Component::Sentinel, 0),
    ] {
        let node = crate::nodes::Node::open(&bus.client, &access, &place, OPERATOR).await?;
        node.call::<String>(&["PING"])
            .await
            .context("in plain text")?;
        let secured = exchange_tls(bus, &place, &access.tls).await;
        ensure!(secured.is_err(), "{}:{} speaks TLS", place.pod, place.port);
    }
    let agent = Place {
        port: API_PORT,
        ..bus.place(Component::Redis, 0)
    };
    ensure!(
        ping_plain(bus, &agent).await.is_err(),
        "an agent answers plain text"
    );
    Ok(())
}

async fn authority(bus: &Bus) -> anyhow::Result<String> {
    entries(&bus.client, &bus.names, &bus.names.serving_certificate())
        .await?
        .remove("ca.crt")
        .context("no ca.crt")
}

/// Trusts `bus`, and shows the certificate by which the operator obeys `other`.
async fn foreign_identity(bus: &Bus, other: &Bus) -> anyhow::Result<Arc<ClientConfig>> {
    let identity = entries(
        &other.client,
        &other.names,
        &other.names.operator_certificate(),
    )
    .await?;
    let part = |name: &str| identity.get(name).with_context(|| format!("no {name}"));
    tls(
        &authority(bus).await?,
        Some((part("tls.crt")?, part("tls.key")?)),
    )
}

async fn ping_plain(bus: &Bus, place: &Place) -> anyhow::Result<String> {
    let stream = dial_plain(&bus.client, bus.names.namespace(), &place.pod, place.port).await?;
    exchange(stream, place).await
}

async fn exchange_tls(bus: &Bus, place: &Place, tls: &Arc<ClientConfig>) -> anyhow::Result<String> {
    let access = bus.access().await?;
    let stream =
        tokio::time::timeout(LIMIT, dial(&bus.client, &access, place, Some(tls))).await??;
    exchange(stream, place).await
}

/// Says what every server understands, and returns its answer: `-NOAUTH …`, or the head of an HTTP reply. No answer is an
/// error, whichever way the connection ends.
async fn exchange(mut stream: Box<dyn Bytes>, place: &Place) -> anyhow::Result<String> {
    let words: &[u8] = if place.port == API_PORT {
        b"GET /v1/status HTTP/1.1\r\nHost: agent\r\n\r\n"
    } else {
        b"PING\r\n"
    };
    let answering = async {
        stream.write_all(words).await?;
        stream.flush().await?;
        let mut answer = vec![0; 64];
        let length = stream.read(&mut answer).await?;
        answer.truncate(length);
        anyhow::Ok(answer)
    };
    let answer = tokio::time::timeout(LIMIT, answering)
        .await
        .context("no answer")??;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    // A TLS alert is a refusal too.
    ensure!(
        answer.starts_with(['+', '-', 'H']),
        "no answer but {answer:?}"
    );
    ensure!(
        !answer.starts_with("HTTP/1.1 400"),
        "no answer but {answer:?}"
    );
    Ok(answer)
}
