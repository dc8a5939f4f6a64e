//! What tracing is told of events.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::Attributes;
use tracing::{Id, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use crate::bus::{client, server};
use crate::consume::{CHANNEL, options, start};
use crate::wait::until;

type Fields = BTreeMap<&'static str, String>;

/// Fields of the spans that were made, in their order.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Fields>>>);

impl<S: Subscriber> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let mut fields = Texts(Fields::new());
        attributes.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }
}

struct Texts(Fields);

impl Visit for Texts {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

#[tokio::test]
async fn spans_hold_the_correlation_id_and_no_data() {
    let spans = Spans::default();
    let subscriber = tracing_subscriber::registry().with(spans.clone());
    let _set = tracing::subscriber::set_default(subscriber);
    let process = server(&[]).await;
    let bus = client(&process);
    let event = bus.events().event(CHANNEL, &json!({"k": "hunter2"}));
    let event = event.unwrap().with_correlation_id("req-7");
    bus.events().emit(&event).await.unwrap();
    let consumer = bus.events().consumer().options(options("one"));
    let consumer = consumer.on(CHANNEL, |_| async { Ok::<_, Infallible>(()) });
    let (stopper, running) = start(consumer.unwrap());
    let of_kind = |kind: &str| {
        let spans = spans.0.lock().unwrap();
        let kind = Some(kind.to_owned());
        spans
            .iter()
            .find(|span| span.get("otel.kind") == kind.as_ref())
            .cloned()
    };
    until("it is handled", async || of_kind("consumer")).await;
    stopper.stop();
    running.await.unwrap().unwrap();
    for kind in ["producer", "consumer"] {
        let span = of_kind(kind).unwrap();
        assert_eq!(span["messaging.destination.name"], CHANNEL);
        assert_eq!(span["messaging.message.id"], event.event_id);
        assert_eq!(span["messaging.message.conversation_id"], "req-7");
    }
    let all = format!("{:?}", spans.0.lock().unwrap());
    assert!(!all.contains("hunter2"));
}
