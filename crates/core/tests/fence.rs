//! When a primary refuses writes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use cachebus_api::status::Topology;
use cachebus_core::config::agent_json;
use cachebus_core::fence::{Answer, Hearing, LEISURE_MS, Sight, Verdict, Watch};
use cachebus_core::names::Component;
use cachebus_core::protocol::{AgentConfig, FedReplica, Fenced};
use cachebus_core::seal::Vote;
use common::bus;
use proptest::prelude::*;

const THIS: &str = "b-redis-0";
const OTHER: &str = "b-redis-1";
const WINDOW: u64 = 3_000;

fn config() -> AgentConfig {
    agent_json(&bus("{replicas: 2}"))
}

fn fqdn(pod: &str) -> String {
    bus("{}").names.pod_fqdn(Component::Redis, pod)
}

fn names(pod: &str, config_epoch: u64) -> Answer {
    Answer::Names {
        vote: Vote {
            primary_host: fqdn(pod),
            config_epoch,
        },
        promoting: false,
    }
}

fn promoting() -> Answer {
    Answer::Names {
        vote: Vote {
            primary_host: fqdn(THIS),
            config_epoch: 1,
        },
        promoting: true,
    }
}

fn replica(pod: &str, lag: u64) -> FedReplica {
    FedReplica {
        host: fqdn(pod),
        online: true,
        lag,
    }
}

fn both(lag: u64) -> Vec<FedReplica> {
    vec![replica("b-redis-1", lag), replica("b-redis-2", lag)]
}

/// A pod that leads since 0, and what its agent does with each verdict.
struct Leader {
    config: AgentConfig,
    watch: Watch,
}

impl Leader {
    fn new() -> Self {
        Self {
            config: config(),
            watch: Watch::begin(0),
        }
    }

    /// A look at which the Sentinels have just been asked, and whether writes are refused after it.
    fn look(&mut self, now_ms: u64, replicas: &[FedReplica], answers: &[Answer]) -> Option<Fenced> {
        self.verdict(now_ms, replicas, answers);
        self.watch.fenced().cloned()
    }

    fn verdict(&mut self, now_ms: u64, replicas: &[FedReplica], answers: &[Answer]) -> Verdict {
        let hearing = Hearing {
            asked_ms: now_ms,
            answers: answers.to_vec(),
        };
        let verdict = self.watch.judge(&Sight {
            config: &self.config,
            pod: THIS,
            now_ms,
            replicas,
            hearing: Some(&hearing).filter(|hearing| !hearing.answers.is_empty()),
        });
        self.watch.carried_out(verdict.clone());
        verdict
    }
}

fn silence() -> Vec<Answer> {
    vec![Answer::Silent, Answer::Silent, Answer::Silent]
}

fn agreed(pod: &str) -> Vec<Answer> {
    vec![names(pod, 2), names(pod, 2), Answer::Silent]
}

#[test]
fn whom_no_sentinel_answers_and_a_replica_leaves_is_fenced_at_once() {
    let mut leader = Leader::new();
    assert_eq!(leader.look(10_000, &both(0), &agreed(THIS)), None);
    assert_eq!(leader.look(12_999, &[], &silence()), None);
    assert_eq!(leader.look(13_000, &[], &silence()), Some(Fenced::Isolated));
    // Sentinels may have promoted the one that left, and the other acknowledges until they have it follow.
    let mut leader = Leader::new();
    for second in 1..60 {
        let fenced = leader.look(second * 1_000, &both(1), &silence());
        assert_eq!(fenced, None, "{second} s, all replicas are there");
    }
    let one = [replica("b-redis-2", 0)];
    assert_eq!(
        leader.look(60_000, &one, &silence()),
        Some(Fenced::Isolated)
    );
}

#[test]
fn whom_no_sentinel_answers_takes_writes_with_all_its_replicas_only_by_the_servers_own_rule() {
    let mut leader = Leader::new();
    assert_eq!(
        leader.verdict(1_000, &both(0), &agreed(THIS)),
        Verdict::Stay
    );
    assert_eq!(leader.verdict(3_999, &both(0), &silence()), Verdict::Stay);
    assert_eq!(leader.verdict(4_000, &both(0), &silence()), Verdict::Bind);
    // Also where somebody took it back.
    assert_eq!(leader.verdict(5_000, &both(0), &silence()), Verdict::Bind);
    assert!(!leader.watch.is_open());
    assert_eq!(leader.watch.fenced(), None);
    assert_eq!(
        leader.verdict(6_000, &both(0), &agreed(THIS)),
        Verdict::Open
    );
    assert_eq!(
        leader.verdict(6_200, &both(0), &agreed(THIS)),
        Verdict::Stay
    );
    // A fence that ends because all replicas are back leaves the same behind.
    assert!(leader.look(60_000, &[], &silence()).is_some());
    assert_eq!(leader.verdict(60_200, &both(0), &silence()), Verdict::Bind);
}

#[test]
fn a_replica_that_is_late_is_missing_when_the_window_has_passed() {
    let mut leader = Leader::new();
    assert_eq!(leader.look(10_000, &both(2), &silence()), None);
    let late = [replica(OTHER, 0), replica("b-redis-2", 3)];
    let fenced = leader.look(10_000 + WINDOW, &late, &silence());
    assert_eq!(fenced, Some(Fenced::Isolated));
    // In whole seconds, two may be little more than one.
    for window in [1_000, 2_000] {
        let mut leader = Leader::new();
        leader.config.fencing_window_ms = window;
        assert_eq!(leader.look(10_000, &both(2), &silence()), None);
        assert!(leader.look(11_000, &both(3), &silence()).is_some());
    }
    // So is one that is being sent a copy, however lately it acknowledged.
    let mut leader = Leader::new();
    let mut sent = both(0);
    sent[1].online = false;
    let fenced = leader.look(14_000, &sent, &silence());
    assert_eq!(fenced, Some(Fenced::Isolated));
}

#[test]
fn who_is_none_of_the_bus_stands_for_no_replica() {
    let mut leader = Leader::new();
    let mut replicas = both(0);
    "10.0.0.7".clone_into(&mut replicas[1].host);
    let fenced = leader.look(10_000, &replicas, &silence());
    assert_eq!(fenced, Some(Fenced::Isolated));
    let itself = [replica(OTHER, 0), replica(THIS, 0)];
    let fenced = leader.look(10_200, &itself, &silence());
    assert_eq!(fenced, Some(Fenced::Isolated));
}

#[test]
fn all_replicas_or_a_majority_of_sentinels_are_enough() {
    let unaware = [Answer::Unaware, Answer::Unaware, Answer::Silent];
    for (replicas, answers) in [
        (&both(1)[..], silence()),
        (&[replica(OTHER, 1)], agreed(THIS)),
        (&[], agreed(THIS)),
        (&[], unaware.to_vec()),
    ] {
        let mut leader = Leader::new();
        for second in 0..60 {
            let fenced = leader.look(second * 1_000, replicas, &answers);
            assert_eq!(fenced, None, "{second} s, {answers:?}");
        }
    }
    let mut leader = Leader::new();
    let one = [names(THIS, 2), Answer::Silent, Answer::Silent];
    assert_eq!(leader.look(WINDOW, &[], &one), Some(Fenced::Isolated));
}

#[test]
fn of_any_number_of_replicas_each_is_needed_where_no_sentinel_answers() {
    for replicas in 1..5 {
        let mut leader = Leader::new();
        leader.config = agent_json(&bus(&format!("{{replicas: {replicas}}}")));
        let all: Vec<_> = (1..=replicas)
            .map(|ordinal| replica(&format!("b-redis-{ordinal}"), 0))
            .collect();
        assert_eq!(leader.look(60_000, &all, &silence()), None);
        let fenced = leader.look(60_200, &all[1..], &silence());
        assert_eq!(fenced, Some(Fenced::Isolated), "{replicas} replicas");
    }
}

#[test]
fn who_is_outvoted_is_fenced_at_once_and_stays_so() {
    let mut leader = Leader::new();
    let outvoted = Some(Fenced::Outvoted(OTHER.to_owned()));
    let one = [replica("b-redis-2", 0)];
    assert_eq!(leader.look(60_000, &one, &agreed(OTHER)), outvoted);
    assert_eq!(leader.look(60_200, &one, &silence()), outvoted);
    assert_eq!(leader.look(90_000, &one, &silence()), outvoted);
    // One that knows better is enough.
    let mut leader = Leader::new();
    let moving = [names(THIS, 2), names(OTHER, 3), names(THIS, 2)];
    assert_eq!(leader.look(60_000, &one, &moving), outvoted);
}

#[test]
fn who_was_promoted_has_time_until_sentinels_say_so() {
    let mut leader = Leader::new();
    assert_eq!(leader.look(1_000, &[], &agreed(OTHER)), None);
    assert_eq!(leader.look(2_000, &[], &agreed(THIS)), None);
    let mut leader = Leader::new();
    assert_eq!(leader.look(WINDOW - 1, &[], &agreed(OTHER)), None);
    assert!(leader.look(WINDOW, &[], &agreed(OTHER)).is_some());
}

#[test]
fn while_a_sentinel_promotes_another_no_write_is_taken() {
    let mut leader = Leader::new();
    let answers = [names(THIS, 1), names(THIS, 1), promoting()];
    let fenced = leader.look(60_000, &both(0), &answers);
    assert_eq!(fenced, Some(Fenced::FailingOver));
    // It found none that it could promote.
    assert_eq!(leader.look(61_000, &both(0), &agreed(THIS)), None);
}

#[test]
fn it_takes_writes_again_when_nobody_else_can_lead() {
    let isolated = |answers: &[Answer], replicas: &[FedReplica]| {
        let mut leader = Leader::new();
        assert_eq!(leader.look(60_000, &[], &silence()), Some(Fenced::Isolated));
        leader.look(60_200, replicas, answers)
    };
    assert_eq!(isolated(&agreed(THIS), &[]), None);
    assert_eq!(isolated(&silence(), &both(1)), None);
    // The other replica may have been promoted.
    let one = [replica(OTHER, 0)];
    assert_eq!(isolated(&silence(), &one), Some(Fenced::Isolated));
    let unaware = vec![Answer::Unaware; 3];
    assert_eq!(isolated(&unaware, &[]), Some(Fenced::Isolated));
    assert_eq!(isolated(&unaware, &one), Some(Fenced::Isolated));
    let twice = [replica(OTHER, 0), replica(OTHER, 0)];
    assert_eq!(isolated(&silence(), &twice), Some(Fenced::Isolated));
}

#[test]
fn an_old_answer_is_none() {
    let mut leader = Leader::new();
    assert!(leader.look(60_000, &[], &silence()).is_some());
    let hearing = Hearing {
        asked_ms: 60_000,
        answers: agreed(THIS),
    };
    let verdict = leader.watch.judge(&Sight {
        config: &leader.config,
        pod: THIS,
        now_ms: 60_000 + WINDOW,
        replicas: &[],
        hearing: Some(&hearing),
    });
    assert_eq!(verdict, Verdict::Fence(Fenced::Isolated));
}

#[test]
fn without_replicas_nothing_is_fenced_and_nobody_asked() {
    let mut leader = Leader::new();
    assert!(leader.look(60_000, &[], &silence()).is_some());
    leader.config = agent_json(&bus("{replicas: 0}"));
    assert_eq!(leader.look(61_000, &[], &silence()), None);
    assert_eq!(leader.look(90_000, &[], &silence()), None);
    assert!(!leader.watch.asks(&leader.config, 99_000));
    assert!(leader.watch.may_wait(&leader.config, 99_000));
}

#[test]
fn a_bus_that_shrinks_is_fenced_while_it_keeps_other_pods() {
    let topology = Topology {
        primary: Some("b-redis-2".to_owned()),
        ..Topology::default()
    };
    let shrinking = bus("{replicas: 0}").of_record(Some(&topology));
    let mut leader = Leader::new();
    leader.config = agent_json(&shrinking);
    assert_eq!(leader.config.replicas, 2);
    assert!(leader.look(60_000, &[], &silence()).is_some());
}

#[test]
fn sentinels_are_asked_in_time_and_at_every_look_while_a_replica_is_missing_or_writes_are_not_open()
{
    let mut leader = Leader::new();
    leader.look(60_000, &both(1), &agreed(THIS));
    assert!(!leader.watch.asks(&leader.config, 60_900));
    assert!(leader.watch.asks(&leader.config, 61_000));
    assert!(leader.watch.may_wait(&leader.config, 61_200));
    assert!(!leader.watch.may_wait(&leader.config, 61_300));
    leader.look(61_000, &both(2), &agreed(THIS));
    assert!(leader.watch.asks(&leader.config, 61_000), "one is late");
    for replicas in [both(0), Vec::new()] {
        leader.look(64_000, &replicas, &silence());
        assert!(leader.watch.asks(&leader.config, 64_000));
        assert!(!leader.watch.may_wait(&leader.config, 64_000));
    }
}

#[test]
fn no_look_at_a_bus_that_is_well_comes_too_late_whatever_the_window() {
    for window in [1_000, 2_000, 3_000, 5_000] {
        let mut leader = Leader::new();
        leader.config.fencing_window_ms = window;
        let (mut now, mut asked): (u64, Option<u64>) = (0, None);
        while now < 60_000 {
            // What was asked at the look before has been answered meanwhile.
            let hearing = asked.map(|asked_ms| Hearing {
                asked_ms,
                answers: agreed(THIS),
            });
            let verdict = leader.watch.judge(&Sight {
                config: &leader.config,
                pod: THIS,
                now_ms: now,
                replicas: &both(0),
                hearing: hearing.as_ref(),
            });
            assert_eq!(verdict, Verdict::Stay, "{now} ms, window {window} ms");
            if leader.watch.asks(&leader.config, now) {
                asked = Some(now);
            }
            let waits = leader.watch.may_wait(&leader.config, now);
            now += if waits { LEISURE_MS } else { 200 };
        }
    }
}

#[test]
fn the_window_is_that_of_the_spec_or_no_longer_than_down_after() {
    for (spec, window) in [
        ("{}", 3_000),
        ("{sentinel: {downAfter: 2s}}", 2_000),
        ("{replication: {fencingWindow: 4500ms}}", 4_500),
    ] {
        assert_eq!(agent_json(&bus(spec)).fencing_window_ms, window, "{spec}");
    }
}

/// What happens between two looks, and what the second one sees.
#[derive(Clone, Debug)]
struct Step {
    after_ms: u64,
    replicas: Vec<FedReplica>,
    answers: Vec<Answer>,
}

fn any_answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        3 => Just(Answer::Silent),
        1 => Just(Answer::Unaware),
        3 => Just(names(THIS, 1)),
        1 => Just(names(OTHER, 1)),
        1 => Just(names(OTHER, 2)),
        1 => Just(promoting()),
    ]
}

fn any_replica() -> impl Strategy<Value = FedReplica> {
    let pod = prop_oneof![Just("b-redis-1"), Just("b-redis-2")];
    (pod, any::<bool>(), prop_oneof![0_u64..6, Just(u64::MAX)]).prop_map(|(pod, online, lag)| {
        FedReplica {
            host: fqdn(pod),
            online,
            lag,
        }
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    (
        0_u64..2_000,
        prop::collection::vec(any_replica(), 0..4),
        prop_oneof![
            Just(Vec::new()),
            prop::collection::vec(any_answer(), 3),
            Just(silence()),
        ],
    )
        .prop_map(|(after_ms, replicas, answers)| Step {
            after_ms,
            replicas,
            answers,
        })
}

proptest! {
    #[test]
    fn whatever_was_before_one_who_sees_nobody_is_fenced_within_the_window_and_stays_so(
        before in prop::collection::vec(any_step(), 0..30),
        alone in prop::collection::vec(0_u64..2_000, 1..30),
    ) {
        let mut leader = Leader::new();
        let mut now = 0;
        for step in &before {
            now += step.after_ms;
            leader.look(now, &step.replicas, &step.answers);
        }
        let cut_off = now;
        for after in alone {
            now += after;
            let fenced = leader.look(now, &[], &silence());
            prop_assert!(fenced.is_some() || now < cut_off + WINDOW);
        }
    }

    #[test]
    fn whatever_was_before_one_that_no_sentinel_answers_takes_no_write_while_a_replica_is_missing(
        before in prop::collection::vec(any_step(), 0..30),
        unheard in prop::collection::vec((0_u64..2_000, 0_usize..4), 1..30),
    ) {
        let mut leader = Leader::new();
        let mut now = 0;
        for step in &before {
            now += step.after_ms;
            leader.look(now, &step.replicas, &step.answers);
        }
        let cut_off = now;
        for (after, there) in unheard {
            now += after;
            let both = both(0);
            let replicas = [&both[..], &both[..1], &both[1..], &[]][there];
            let fenced = leader.look(now, replicas, &silence());
            prop_assert!(fenced.is_some() || now < cut_off + WINDOW || replicas.len() == 2);
        }
    }

    #[test]
    fn no_write_is_taken_again_while_another_is_named_or_promoted(
        before in prop::collection::vec(any_step(), 0..30),
        against in prop_oneof![Just(agreed(OTHER)), Just(vec![promoting(), names(THIS, 1), names(THIS, 1)])],
        rest in prop::collection::vec(prop::collection::vec(any_replica(), 0..4), 1..30),
    ) {
        let mut leader = Leader::new();
        let mut now = WINDOW;
        for step in &before {
            now += step.after_ms;
            leader.look(now, &step.replicas, &step.answers);
        }
        for replicas in rest {
            now += 500;
            prop_assert!(leader.look(now, &replicas, &against).is_some());
        }
    }

    #[test]
    fn who_sees_all_its_replicas_takes_writes(
        before in prop::collection::vec(any_step(), 0..30),
    ) {
        let mut leader = Leader::new();
        let mut now = 0;
        for step in &before {
            now += step.after_ms;
            leader.look(now, &step.replicas, &step.answers);
        }
        // What Sentinels said has grown old.
        now += WINDOW;
        for _ in 0..10 {
            now += 1_000;
            prop_assert_eq!(leader.look(now, &both(1), &[]), None);
        }
    }
}
