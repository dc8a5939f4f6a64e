//! Emitting events.

use std::time::Duration;

use redis::Value;

use super::{Emitted, Outcome};
use crate::calls;
use crate::command::Command;
use crate::connection::{Connection, Repeat, parsed, unexpected};
use crate::contract::{ChannelSpec, Confirm};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::metrics::{EventFailure, Metrics};

/// How long an event's id is remembered: longer than anybody repeats a call of which no answer came.
const WINDOW: Duration = Duration::from_mins(5);

/// Keys removed at once: more than that would hold up the server.
const MOST_KEYS: usize = 1000;

const FCALL: &str = "FCALL";

pub(super) async fn emit(
    connection: &Connection,
    metrics: &dyn Metrics,
    event: &Event,
) -> Result<Emitted> {
    let contract = connection.contract();
    let spec = contract.published(&event.channel)?;
    let envelope = event.encode()?;
    if !contract.events_enabled {
        return Ok(outcome(event, Outcome::Disabled));
    }
    let call = calls::emit(spec, &envelope, WINDOW);
    let confirm = contract.confirm.as_ref();
    let emitted = match confirmed(connection, spec, confirm, call, event).await {
        Ok(reply) => parsed(FCALL, reply).and_then(|reply| emitted(event, reply)),
        Err(Error::FunctionsMissing { .. }) if !spec.durable => {
            plain(connection, spec, event, &envelope).await
        }
        Err(error) => Err(error),
    };
    counted(metrics, event, emitted)
}

pub(super) async fn invalidate(
    connection: &Connection,
    metrics: &dyn Metrics,
    keys: &[String],
    event: &Event,
) -> Result<Emitted> {
    let contract = connection.contract();
    let spec = contract.published(&event.channel)?;
    let envelope = event.encode()?;
    if !(1..=MOST_KEYS).contains(&keys.len()) {
        return Err(Error::Contract(format!(
            "1 to {MOST_KEYS} values are removed in one step"
        )));
    }
    if !contract.events_enabled {
        let unlink = Command::new("UNLINK").args(keys);
        let removed = connection.call(unlink, Repeat::Safe).await?;
        return Ok(Emitted {
            removed,
            ..outcome(event, Outcome::Disabled)
        });
    }
    let call = calls::invalidate(keys, spec, &envelope, WINDOW);
    let confirm = contract.confirm.as_ref();
    let emitted = match confirmed(connection, spec, confirm, call, event).await {
        Ok(reply) => parsed(FCALL, reply).and_then(|(removed, status, stream_id, receivers)| {
            Ok(Emitted {
                removed,
                ..emitted(event, (status, stream_id, receivers))?
            })
        }),
        Err(error) => Err(error),
    };
    counted(metrics, event, emitted)
}

/// The call's reply, once as many copies as the contract asks for have the event.
async fn confirmed(
    connection: &Connection,
    spec: &ChannelSpec,
    confirm: Option<&Confirm>,
    call: Command,
    event: &Event,
) -> Result<Value> {
    let Some(confirm) = confirm.filter(|_| spec.durable) else {
        return connection.call(call, Repeat::Safe).await;
    };
    let wait = match confirm.local {
        Some(local) => Command::new("WAITAOF").arg(local),
        None => Command::new("WAIT"),
    };
    let wait = wait.arg(confirm.replicas).arg(confirm.timeout.as_millis());
    let name = wait.name();
    let mut replies = connection
        .confirmed(vec![call, wait], confirm.timeout)
        .await?;
    let copies = replies.pop().unwrap_or(Value::Nil);
    let (local, replicas) = match confirm.local {
        Some(_) => parsed(name, copies)?,
        None => (0, parsed(name, copies)?),
    };
    if replicas < confirm.replicas || local < confirm.local.unwrap_or(0) {
        return Err(Error::Unconfirmed {
            event_id: event.event_id.clone(),
            confirmed: replicas,
            wanted: confirm.replicas,
        });
    }
    Ok(replies.pop().unwrap_or(Value::Nil))
}

/// Without the library: published and kept, yet twice where it is emitted twice. So it is sent once.
async fn plain(
    connection: &Connection,
    spec: &ChannelSpec,
    event: &Event,
    envelope: &str,
) -> Result<Emitted> {
    let publish = Command::new("PUBLISH").arg(&spec.channel).arg(envelope);
    let mut commands = vec![publish];
    if spec.history > 0 {
        let key = spec.history_key();
        commands.push(Command::new("LPUSH").arg(&key).arg(envelope));
        let trim = Command::new("LTRIM").arg(key).arg(0);
        commands.push(trim.arg(spec.history - 1));
    }
    let replies = connection.transaction(commands, Repeat::Never).await?;
    let receivers = replies.into_iter().next().unwrap_or(Value::Nil);
    Ok(Emitted {
        receivers: parsed("PUBLISH", receivers)?,
        ..outcome(event, Outcome::Emitted)
    })
}

fn outcome(event: &Event, outcome: Outcome) -> Emitted {
    Emitted {
        outcome,
        event_id: event.event_id.clone(),
        stream_id: None,
        receivers: 0,
        removed: 0,
    }
}

fn emitted(
    event: &Event,
    (status, stream_id, receivers): (String, String, u64),
) -> Result<Emitted> {
    let status = match status.as_str() {
        "emitted" => Outcome::Emitted,
        "duplicate" => Outcome::Duplicate,
        _ => return Err(unexpected(FCALL)),
    };
    Ok(Emitted {
        stream_id: Some(stream_id).filter(|id| !id.is_empty()),
        receivers,
        ..outcome(event, status)
    })
}

fn counted(metrics: &dyn Metrics, event: &Event, emitted: Result<Emitted>) -> Result<Emitted> {
    match &emitted {
        Ok(emitted) if emitted.outcome == Outcome::Emitted => metrics.published(&event.channel),
        Ok(_) => {}
        Err(_) => metrics.event_error(&event.channel, EventFailure::Publish, 1),
    }
    emitted
}
