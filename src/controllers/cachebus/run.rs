//! When passes over a bus are made, and what becomes of their results.

use super::pace::Pace;
use super::{Next, reconcile};
use crate::context::Context;
use crate::error::Error;
use crate::memory::Remembered;
use crate::metrics::{Failure, Readiness};
use crate::watches::{Triggers, WatchedBus};
use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use kube::runtime::controller::{Action, Config, Error as ControllerError, applier};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt as _};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Passes at once.
const CONCURRENCY: u16 = 4;
/// Time that a pass may take.
const DEADLINE: Duration = Duration::from_mins(1);
/// Makes passes until `shutdown`, and ends when those under way have ended.
///
/// This is what `kube::runtime::Controller` is made of. A `Controller` would begin to watch only when it runs; here the
/// stores have been watched since before this process came to lead.
pub async fn run(
    context: Arc<Context>,
    triggers: &Triggers,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let buses = context.stores.buses.clone();
    // Opened before the list is read, so that no change is lost between the two.
    let changes = triggers.open();
    if !context.stores.filled().await {
        return;
    }
    let all: Vec<_> = buses
        .state()
        .iter()
        .map(|bus| ObjectRef::from_obj(&**bus))
        .collect();
    let queue = queue(stream::iter(all).chain(changes).take_until(shutdown));
    applier(
        |object, context| pass(object, context).boxed(),
        |object, error, context| after_failure(&object, error, &context),
        context.clone(),
        buses,
        queue,
        Config::default().concurrency(CONCURRENCY),
    )
    .for_each(|result| {
        settle(&context, result);
        std::future::ready(())
    })
    .await;
}

fn queue(
    requests: impl Stream<Item = ObjectRef<WatchedBus>>,
) -> impl Stream<Item = Result<ObjectRef<WatchedBus>, Infallible>> {
    requests.map(Ok)
}

/// One pass, and when the next is due.
pub async fn pass(object: Arc<WatchedBus>, context: Arc<Context>) -> Result<Action, Error> {
    let begun = Instant::now();
    let result = tokio::time::timeout(DEADLINE, Box::pin(believed(&object, &context)))
        .await
        .unwrap_or(Err(Error::Deadline(DEADLINE)));
    context
        .metrics
        .duration
        .observe(begun.elapsed().as_secs_f64());
    count_buses(&context);
    let next = result?;
    if next == Next::OnChange {
        context.polls.end(&ObjectRef::from_obj(&*object));
    }
    context.metrics.passes.inc();
    let uid = object.uid().unwrap_or_default();
    let wait = paced(&object, &context, |pace| pace.after(next, &uid));
    Ok(wait.map_or_else(Action::await_change, Action::requeue))
}

/// A pass on what the store shows of a bus or, where passes on that began anew time and again, and as long as it shows nothing newer
/// than it did then, on what the API server has.
async fn believed(object: &WatchedBus, context: &Context) -> Result<Next, Error> {
    let shown = object.resource_version();
    let doubted = remembered(object, context, |bus| {
        bus.pace.doubts_store() || (bus.outdated.is_some() && bus.outdated == shown)
    });
    if !doubted {
        return Box::pin(reconcile(object, context)).await;
    }
    let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
    let api: Api<WatchedBus> = Api::namespaced(context.client.clone(), &namespace);
    let live = api
        .get_opt(&name)
        .await
        .map_err(|error| Error::api("get", "CacheBus", &name, &error))?;
    match live {
        Some(live) => {
            let outdated = shown.filter(|shown| live.resource_version().as_ref() != Some(shown));
            remembered(object, context, |bus| bus.outdated = outdated);
            Box::pin(reconcile(&live, context)).await
        }
        None => Ok(Next::OnChange),
    }
}

fn after_failure(object: &WatchedBus, error: &Error, context: &Context) -> Action {
    let reason = error.reason();
    context
        .metrics
        .failures
        .get_or_create(&Failure { reason })
        .inc();
    let (wait, failures) = paced(object, context, Pace::after_failure);
    tracing::warn!(
        namespace = object.namespace(),
        name = object.name_any(),
        reason,
        %error,
        failures,
        "a pass failed"
    );
    Action::requeue(wait)
}

fn paced<T>(object: &WatchedBus, context: &Context, f: impl FnOnce(&mut Pace) -> T) -> T {
    remembered(object, context, |bus| f(&mut bus.pace))
}

fn remembered<T>(
    object: &WatchedBus,
    context: &Context,
    f: impl FnOnce(&mut Remembered) -> T,
) -> T {
    let namespace = object.namespace().unwrap_or_default();
    let uid = object.uid().unwrap_or_default();
    context.memory.with(&namespace, &object.name_any(), &uid, f)
}

fn settle(
    context: &Context,
    result: Result<(ObjectRef<WatchedBus>, Action), ControllerError<Error, Infallible>>,
) {
    match result {
        // Failed passes have been logged.
        Ok(_) | Err(ControllerError::ReconcilerFailed(..)) => {}
        // Nothing is to be done when a bus is deleted but to forget it.
        Err(ControllerError::ObjectNotFound(gone)) => {
            let namespace = gone.namespace.as_deref().unwrap_or_default();
            // Each of its objects that goes after it brings it up once more.
            if context.memory.forget(namespace, &gone.name) {
                tracing::info!(namespace, name = gone.name, "a bus is gone");
            }
            context.agents.forget(namespace, &gone.name);
            context
                .polls
                .end(&ObjectRef::new(&gone.name).within(namespace));
            count_buses(context);
        }
        Err(error) => tracing::error!(%error, "the controller failed"),
    }
}

fn count_buses(context: &Context) {
    let mut counts = [("True", 0), ("False", 0), ("Unknown", 0)];
    for bus in context.stores.buses.state() {
        let ready = bus
            .0
            .as_ref()
            .ok()
            .and_then(|bus| {
                bus.status
                    .as_ref()?
                    .conditions
                    .iter()
                    .find(|condition| condition.type_ == "Ready")
            })
            .map_or("Unknown", |condition| condition.status.as_str());
        for (status, count) in &mut counts {
            if *status == ready {
                *count += 1;
            }
        }
    }
    for (ready, count) in counts {
        context
            .metrics
            .buses
            .get_or_create(&Readiness { ready })
            .set(count);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Readiness, settle};
    use crate::testing::{World, key};
    use kube::runtime::controller::Error;
    use serde_json::json;

    #[tokio::test]
    async fn a_bus_that_is_gone_is_counted_no_more() {
        let mut world = World::with_bus();
        world.api.change("cachebuses", "b", |bus| {
            bus["spec"]["config"] = json!({"bind": "0.0.0.0"});
        });
        world.see();
        world.paced_pass().await.unwrap();
        world.see();
        world.paced_pass().await.unwrap();
        let buses = world.context.metrics.buses.clone();
        let count = || buses.get_or_create(&Readiness { ready: "False" }).get();
        assert_eq!(count(), 1);

        world.api.remove("cachebuses", "b");
        world.see();
        let gone = Error::ObjectNotFound(Box::new(key().erase()));
        settle(&world.context, Err(gone));
        assert_eq!(count(), 0);
    }
}
