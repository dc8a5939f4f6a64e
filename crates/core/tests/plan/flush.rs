//! Keyspaces that a person asks to have emptied.

use crate::common::bus;
use crate::scene::{Scene, ago, leads_as, primary};
use crate::status::{condition, reported};
use cachebus_api::status::Flush;
use cachebus_core::acl::digest;
use cachebus_core::events::between;
use cachebus_core::plan::Action;
use cachebus_core::protocol::{
    AgentStatus, DataStatus, Fenced, FlushOrder, FlushOutcome, FlushReport, FlushStatus,
    NodeStatus, Refusal,
};
use cachebus_core::status::kind;
use proptest::prelude::*;

const CONTRACT: &str = "
cache:
  keyspaces:
    - {name: agent, key: 'agent:{id}', ttl: 1m}
    - {name: session, key: 'session:{token}', ttl: 1m}
    - {name: lock, key: 'lock:{id}', ttl: 1m, kind: Lock}
events: {channels: [{name: task, events: [created, done], durable: true}]}
services: [{name: designer, cache: {write: [agent, lock]}}]
";

fn well() -> Scene {
    let mut scene = Scene::well();
    let contract = bus(CONTRACT).spec;
    scene.bus.spec.cache = contract.cache;
    scene.bus.spec.events = contract.events;
    scene.bus.spec.services = contract.services;
    scene
}

fn asked(mut scene: Scene, what: &str) -> Scene {
    scene.observed.flush_request = Some(what.to_owned());
    scene
}

fn recorded(number: u64, keyspaces: &[&str]) -> Flush {
    Flush {
        number,
        keyspaces: keyspaces.iter().map(|&name| name.to_owned()).collect(),
        since: ago(0),
        waiting_for: None,
        finished_at: None,
        removed: None,
        failed: None,
    }
}

fn pending(keyspaces: &[&str]) -> Scene {
    let mut scene = well();
    scene.observed.status.flush = Some(recorded(4, keyspaces));
    scene
}

/// The agent of a data pod says this of its last flush.
fn says(mut scene: Scene, ordinal: u32, number: u64, outcome: FlushOutcome) -> Scene {
    *told(&mut scene, ordinal) = Some(FlushStatus {
        last: Some(FlushReport { number, outcome }),
    });
    scene
}

fn told(scene: &mut Scene, ordinal: u32) -> &mut Option<FlushStatus> {
    &mut data(scene, ordinal).flush
}

fn data(scene: &mut Scene, ordinal: u32) -> &mut DataStatus {
    let node = scene.observed.data.get_mut(&format!("b-redis-{ordinal}"));
    match &mut node.unwrap().agent.as_mut().unwrap().node {
        NodeStatus::Redis(data) => data,
        NodeStatus::Sentinel(_) => panic!("a Sentinel"),
    }
}

fn orders(scene: &Scene) -> Vec<(String, FlushOrder)> {
    let actions = scene.actions().into_iter();
    let orders = actions.filter_map(|action| match action {
        Action::Flush { pod, order } => Some((pod, order)),
        _ => None,
    });
    orders.collect()
}

/// What is answered: why it is refused, where it is.
fn answers(scene: &Scene) -> Vec<Option<String>> {
    let actions = scene.actions().into_iter();
    let answers = actions.filter_map(|action| match action {
        Action::AnswerFlush { asked, refusal } => {
            assert_eq!(Some(asked), scene.observed.flush_request);
            Some(refusal)
        }
        _ => None,
    });
    answers.collect()
}

fn flush(scene: &Scene) -> Flush {
    reported(scene).flush.unwrap()
}

fn refused(message: &str) -> FlushOutcome {
    FlushOutcome::Hindered(Refusal {
        reason: "CommandRefused".to_owned(),
        message: message.to_owned(),
    })
}

#[test]
fn a_request_is_recorded_before_it_is_taken_off_and_taken_off_before_it_is_ordered() {
    let mut scene = asked(well(), "session,agent");
    assert_eq!(scene.actions(), []);
    assert!(scene.plan().unsettled);
    let record = flush(&scene);
    assert_eq!(record, recorded(1, &["agent", "session"]));

    scene.observed.status.flush = Some(record.clone());
    assert_eq!((answers(&scene), orders(&scene)), (vec![None], vec![]));
    assert_eq!(flush(&scene), record);

    scene.observed.flush_request = None;
    let order = FlushOrder {
        uid: scene.bus.uid.clone(),
        epoch: 1,
        number: 1,
        keys: vec!["agent:{id}".to_owned(), "session:{token}".to_owned()],
        others: vec!["lock:{id}".to_owned()],
    };
    assert_eq!(orders(&scene), [("b-redis-0".to_owned(), order)]);

    let running = says(scene.clone(), 0, 1, FlushOutcome::Running);
    assert_eq!(running.actions(), []);
    assert!(!running.plan().unsettled, "whoever is done says so");
    assert_eq!(flush(&running), record);

    let done = says(scene, 0, 1, FlushOutcome::Done { removed: 12 });
    let ended = Flush {
        finished_at: Some(ago(0)),
        removed: Some(12),
        ..record
    };
    assert_eq!((done.actions(), flush(&done)), (vec![], ended.clone()));
    let (before, now) = (reported(&running), reported(&done));
    let [event] = between(&before, &now).try_into().unwrap();
    assert_eq!((event.reason.as_str(), event.warning), ("Flushed", false));
    assert_eq!(event.note, "flushed agent, session: 12 keys removed");
    let mut later = done;
    later.observed.status = now.clone();
    later.observed.now_ms += 60_000;
    assert_eq!((later.actions(), flush(&later)), (vec![], ended));
    assert_eq!(between(&now, &reported(&later)), []);
}

#[test]
fn a_request_for_what_is_not_of_the_cache_is_refused_and_changes_nothing() {
    let mut paused = well();
    paused.bus.spec.paused = true;
    let mut hibernated = well();
    hibernated.bus.spec.hibernated = true;
    for (scene, what, why) in [
        (well(), "agent, lock", "lock holds locks"),
        (well(), "task:created", "task:created is a channel"),
        (well(), "agents", "declares no agents"),
        (pending(&["agent"]), "agents", "declares no agents"),
        (paused, "agent", "the bus is paused"),
        (hibernated, "agent", "the bus is hibernated"),
    ] {
        let scene = asked(scene, what);
        let refusals = answers(&scene);
        let [Some(refusal)] = refusals.as_slice() else {
            panic!("{what}: {refusals:?}");
        };
        assert!(refusal.contains(why), "{refusal}");
        let before = scene.observed.status.flush.as_ref();
        let number = reported(&scene).flush.map(|flush| flush.number);
        assert_eq!(number, before.map(|flush| flush.number));
    }
}

#[test]
fn whoever_leads_and_does_not_know_of_it_is_ordered_anew() {
    let restarted = pending(&["agent"]);
    assert_eq!(orders(&restarted)[0].1.number, 4);
    let done = FlushOutcome::Done { removed: 3 };
    let older = says(restarted.clone(), 0, 3, done.clone());
    assert_eq!(orders(&older)[0].1.number, 4);
    assert_eq!(flush(&older).finished_at, None);

    // What it removed last may not have reached the one that leads now.
    let elsewhere = says(restarted, 0, 4, done)
        .recorded(primary("b-redis-1", 2))
        .switched("b-redis-1")
        .node(1, leads_as("b-redis-1", 2));
    assert_eq!(flush(&elsewhere).finished_at, None);
}

#[test]
fn another_request_waits_until_the_one_before_is_done() {
    let scene = asked(pending(&["agent"]), "session");
    assert_eq!(answers(&scene), []);
    assert_eq!(orders(&scene).len(), 1, "what was recorded goes on");
    let running = says(scene, 0, 4, FlushOutcome::Running);
    assert!(!running.plan().unsettled, "whoever is done says so");
    let done = says(running, 0, 4, FlushOutcome::Done { removed: 1 });
    assert!(done.plan().unsettled);
    // The same once more, when some of its keys have been looked at.
    let again = says(
        asked(pending(&["agent"]), "agent"),
        0,
        4,
        FlushOutcome::Running,
    );
    assert_eq!(again.actions(), []);
    assert_eq!(flush(&again).number, 4);
    let mut done = says(again, 0, 4, FlushOutcome::Done { removed: 1 });
    done.observed.status.flush = Some(flush(&done));
    assert_eq!(done.actions(), []);
    assert_eq!(flush(&done), recorded(5, &["agent"]));
}

#[test]
fn a_request_is_not_taken_for_the_one_before_while_nobody_tells_how_far_that_is() {
    let scene = asked(pending(&["agent"]), "agent").silent(0);
    assert_eq!((answers(&scene), orders(&scene)), (vec![], vec![]));
    assert_eq!(flush(&scene).number, 4);
}

#[test]
fn a_server_that_does_not_go_along_is_not_asked_time_and_again() {
    let hindered = says(pending(&["agent"]), 0, 4, refused("NOREPLICAS"));
    assert!(!hindered.plan().unsettled, "its agent tries again");
}

#[test]
fn what_it_waits_for_is_told_and_keeps_nothing_else_back() {
    let mut too_old = pending(&["agent"]);
    *told(&mut too_old, 0) = None;
    let mut other_users = pending(&["agent"]);
    let node = other_users.observed.data.get_mut("b-redis-0").unwrap();
    node.agent.as_mut().unwrap().acl_digest = Some(digest("older"));
    let hindered = says(pending(&["agent"]), 0, 4, refused("NOREPLICAS"));
    let mut paused = pending(&["agent"]);
    paused.bus.spec.paused = true;
    let unknown = says(pending(&["agent"]), 0, 4, FlushOutcome::Unknown);
    let mut fenced = says(pending(&["agent"]), 0, 4, FlushOutcome::Running);
    data(&mut fenced, 0).fenced = Some(Fenced::Isolated);
    for (scene, ordered, why) in [
        (too_old, 0, "too old"),
        (other_users, 0, "the users of the contract"),
        // The order may be another by now.
        (hindered, 1, "NOREPLICAS"),
        (pending(&["agent"]).silent(0), 0, "no primary leads"),
        (paused, 0, "the bus is paused"),
        (unknown, 0, "another version"),
        (fenced, 0, "takes no writes"),
    ] {
        assert_eq!(orders(&scene).len(), ordered, "{why}");
        let told = flush(&scene);
        assert_eq!(told.finished_at, None, "{why}");
        let waits = told.waiting_for.unwrap_or_default();
        assert!(waits.contains(why), "{waits} is not {why}");
    }
    let status = reported(&says(pending(&["agent"]), 0, 4, refused("NOREPLICAS")));
    assert_eq!(condition(&status, kind::READY).status, "True");
}

#[test]
fn what_leaves_the_cache_is_not_flushed_any_more() {
    let [(_, order)] = orders(&pending(&["agent", "gone", "lock"]))
        .try_into()
        .unwrap();
    assert_eq!(order.keys, ["agent:{id}"]);
    let scene = pending(&["gone", "lock"]);
    assert_eq!(orders(&scene), []);
    let mut failed = scene.clone();
    failed.observed.status = reported(&scene);
    let why = failed
        .observed
        .status
        .flush
        .as_ref()
        .unwrap()
        .failed
        .clone();
    assert_eq!(
        why.as_deref(),
        Some("none of them is a keyspace of the cache any more")
    );
    let before = reported(&pending(&["agent"]));
    let [event] = between(&before, &failed.observed.status)
        .try_into()
        .unwrap();
    assert_eq!(
        (event.reason.as_str(), event.warning),
        ("FlushFailed", true)
    );
}

#[test]
fn a_number_is_one_that_no_agent_has_heard_of() {
    let scene = says(well(), 0, 8, FlushOutcome::Done { removed: 1 });
    assert_eq!(flush(&asked(scene, "agent")).number, 9);
}

#[test]
fn what_the_contract_declares_is_counted() {
    let size = reported(&well()).contract.unwrap();
    assert_eq!((size.keyspaces, size.channels, size.services), (3, 2, 1));
    assert_eq!(well().actions(), []);
}

#[derive(Clone, Debug)]
enum Step {
    /// A person asks.
    Ask(&'static str),
    /// A pass that ends after so many actions, and writes no status then; `None`: a whole one.
    Pass(Option<usize>),
    /// The agent ends what it is at.
    End,
    /// The agent is restarted.
    Restart,
    /// Looks miss the agent, or no longer.
    Away(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop_oneof![Just("agent"), Just("session"), Just("agent,session")].prop_map(Step::Ask),
        prop::option::of(0_usize..2).prop_map(Step::Pass),
        Just(Step::Pass(None)),
        Just(Step::End),
        Just(Step::Restart),
        any::<bool>().prop_map(Step::Away),
    ]
}

/// A bus, and the agent of its primary.
struct World {
    scene: Scene,
    /// The agent while looks miss it, just as it was.
    away: Option<AgentStatus>,
    /// Keyspaces that were asked for and that no agent has begun to empty since.
    owed: Vec<String>,
    asked: usize,
    restarted: usize,
    begun: usize,
}

impl World {
    fn new() -> Self {
        Self {
            scene: well(),
            away: None,
            owed: Vec::new(),
            asked: 0,
            restarted: 0,
            begun: 0,
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            // One that is there is not replaced: the person would see that.
            Step::Ask(_) if self.scene.observed.flush_request.is_some() => {}
            Step::Ask(what) => {
                self.scene.observed.flush_request = Some((*what).to_owned());
                self.owed.extend(what.split(',').map(str::to_owned));
                self.asked += 1;
            }
            Step::Pass(ends_after) => self.pass(*ends_after),
            Step::Away(true) => self.away = self.agent().take().or(self.away.take()),
            Step::Away(false) => {
                if let Some(agent) = self.away.take() {
                    *self.agent() = Some(agent);
                }
            }
            Step::End | Step::Restart if self.away.is_some() => {}
            Step::End => {
                if let Some(status) = told(&mut self.scene, 0)
                    && let Some(report) = &mut status.last
                {
                    report.outcome = FlushOutcome::Done { removed: 1 };
                }
            }
            Step::Restart => {
                self.restarted += 1;
                *told(&mut self.scene, 0) = Some(FlushStatus::default());
            }
        }
    }

    fn agent(&mut self) -> &mut Option<AgentStatus> {
        let node = self.scene.observed.data.get_mut("b-redis-0");
        &mut node.unwrap().agent
    }

    fn pass(&mut self, ends_after: Option<usize>) {
        let (actions, status) = (self.scene.actions(), reported(&self.scene));
        for action in actions.into_iter().take(ends_after.unwrap_or(usize::MAX)) {
            match action {
                Action::AnswerFlush { refusal, .. } => {
                    assert_eq!(refusal, None);
                    self.scene.observed.flush_request = None;
                }
                Action::Flush { order, .. } => self.begin(&order),
                _ if self.away.is_some() => {}
                other => panic!("{other:?}"),
            }
        }
        if ends_after.is_none() {
            self.scene.observed.status = status;
        }
    }

    fn begin(&mut self, order: &FlushOrder) {
        let known = told(&mut self.scene, 0).as_ref().unwrap().last.as_ref();
        if known.is_some_and(|known| known.number == order.number) {
            return;
        }
        self.begun += 1;
        for keyspace in &self.scene.bus.spec.cache.keyspaces {
            if order.keys.contains(&keyspace.key) {
                self.owed.retain(|name| *name != keyspace.name);
            }
        }
        let number = order.number;
        let last = Some(FlushReport {
            number,
            outcome: FlushOutcome::Running,
        });
        *told(&mut self.scene, 0) = Some(FlushStatus { last });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_request_is_lost_and_none_is_carried_out_twice_but_for_a_restart(
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        world.take(&Step::Away(false));
        for _ in 0..8 {
            world.take(&Step::Pass(None));
            world.take(&Step::End);
        }
        let observed = &world.scene.observed;
        prop_assert_eq!(&observed.flush_request, &None);
        let flush = observed.status.flush.as_ref();
        prop_assert!(flush.is_none_or(|flush| flush.finished_at.is_some()));
        prop_assert!(world.owed.is_empty(), "{:?}", world.owed);
        prop_assert!(world.begun <= world.asked + world.restarted, "{} times", world.begun);
        prop_assert_eq!(world.scene.actions(), []);
    }
}
