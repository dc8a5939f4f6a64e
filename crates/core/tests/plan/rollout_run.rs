//! Whole rollouts, with faults, bad templates, other storage classes, lost nodes, refused handovers and a second operator that
//! comes late.

use crate::rollout_world::{World, is_data};
use crate::scene::desired;
use crate::status::condition;
use cachebus_core::plan::{
    Action, handover_intended, intended, plan, primary_may_go, refused, replacement_intended,
    restart_intended,
};
use cachebus_core::protocol::Refusal;
use cachebus_core::status::{kind, recorded, report};
use proptest::prelude::*;

/// Passes in which a rollout must end once there are no faults any more.
const HEALING: usize = 120;

struct Run {
    world: World,
    /// A node was lost in this run.
    losses: bool,
    /// What a second operator decided and has not done yet.
    late: Option<Action>,
    /// Every restart: pod, generation and revision that it was for.
    restarts: Vec<(String, i64, u32)>,
}

impl Run {
    fn new() -> Self {
        Self {
            world: World::new(),
            losses: false,
            late: None,
            restarts: Vec::new(),
        }
    }

    /// What people and chance do.
    fn disturb(&mut self, choice: u8) {
        let world = &mut self.world;
        let pods: Vec<String> = world.pods.keys().cloned().collect();
        let some = &pods[usize::from(choice / 8) % pods.len()];
        match choice % 8 {
            0 => world.roll_to(u32::from(choice / 8) % 4),
            1 => world.pod(some).unwell = 3,
            2 => world.move_to(some),
            3 => world.store_in(u32::from(choice / 8) % 3),
            4 if choice > 200 => self.lose_node_of(some),
            // Somebody else deletes it.
            5 if !world.pods[some].lost => world.replace(some, 3, false),
            // Its container ends.
            6 if world.runs(some) => world.pod(some).away = 2,
            _ => {}
        }
    }

    /// The leader's is not lost: nobody else may have all of the data.
    fn lose_node_of(&mut self, name: &str) {
        let world = &mut self.world;
        if world.leader != name && world.topology().primary.as_deref() != Some(name) {
            self.losses = true;
            let pod = world.pod(name);
            pod.lost = true;
            pod.away = 0;
        }
    }

    /// A pass, and what follows from it. `chance`: how a handover ends, how long a restart takes, who comes late.
    fn pass(&mut self, chance: u8) {
        let world = &mut self.world;
        world.live(chance);
        world.look();
        let plan = plan(&world.scene.bus, &world.scene.observed, &desired());
        let changes = plan.actions.iter();
        let changes = changes.filter(|action| action.changes_topology(&world.scene.observed));
        assert!(changes.count() <= 1, "{:?}", plan.actions);
        for action in &plan.actions {
            self.claim_all_well(action);
        }
        if let Some(late) = self.late.take_if(|_| chance.is_multiple_of(3)) {
            self.carry_out(&late, chance);
        }
        for action in &plan.actions {
            if chance.is_multiple_of(5) && matches!(action, Action::Restart { .. }) {
                self.late = Some(action.clone());
            }
            self.carry_out(action, chance);
        }
    }

    fn carry_out(&mut self, action: &Action, chance: u8) {
        let world = &mut self.world;
        match action {
            Action::Record(topology) => {
                world.scene.observed.status = world.status.clone();
                world.status = recorded(&world.scene.bus, &world.scene.observed, topology);
            }
            Action::Restart { pod, uid, claim } => {
                self.restart(pod, uid, claim.as_deref(), chance);
            }
            Action::Order { pod, order } if intended(world.topology(), order) => {
                world.obey(pod, order);
            }
            Action::Monitor { pod, order } if world.works(pod) => {
                assert_eq!(order.primary, world.leader);
                world.pod(pod).blank = false;
            }
            Action::HandOver { pod, order } => {
                if !handover_intended(world.topology(), pod, order) || *pod != world.leader {
                    return;
                }
                let to = order.to.clone().unwrap();
                if chance.is_multiple_of(4) || !world.hand_over(&to) {
                    let refusal = Refusal {
                        reason: "NotInSync".to_owned(),
                        message: "no".to_owned(),
                    };
                    world.status.topology = Some(refused(world.topology(), &refusal));
                }
            }
            _ => {}
        }
    }

    fn restart(&mut self, name: &str, uid: &str, claim: Option<&str>, chance: u8) {
        let world = &mut self.world;
        let primary_too = primary_may_go(&world.scene.bus, &world.scene.observed, name);
        let intended = restart_intended(world.topology(), name, uid, primary_too);
        let leads = world.leads && world.works(&world.leader);
        let is_leader = world.leader == name && leads;
        if !intended || world.pods[name].uid.to_string() != uid || is_leader {
            return;
        }
        let is_primary = world.topology().primary.as_deref() == Some(name);
        assert!(!is_primary || !world.runs(name), "the primary");
        if let Some(claim) = claim {
            let intended = replacement_intended(world.topology(), name, claim);
            let is_seen = claim == world.pods[name].volume.to_string();
            if !intended || !is_seen || (is_data(name) && !leads) {
                return;
            }
            self.claim_not_needed(name);
        }
        let world = &mut self.world;
        // One that does not work is missing already.
        let mut others = world.pods.iter().filter(|(other, _)| *other != name);
        let away = others.find(|(_, pod)| pod.restarted && world.works(name));
        assert!(away.is_none(), "{name} goes while {away:?} is away");
        let restart = (name.to_owned(), world.scene.bus.generation, world.wanted);
        if claim.is_none() && !self.losses {
            assert!(!self.restarts.contains(&restart), "{restart:?} again");
        }
        self.restarts.push(restart);
        world.replace(name, 3 + chance % 4, claim.is_some());
        world.pod(name).restarted = true;
    }

    /// A pod that works goes only where all others were seen to work.
    fn claim_all_well(&self, action: &Action) {
        let world = &self.world;
        if let Action::Restart { pod, .. } = action
            && world.works(pod)
        {
            let unwell = world.pods.keys().find(|other| !world.works(other));
            assert_eq!(unwell, None, "{pod} goes");
        }
    }

    /// A volume is given up only where every other copy is whole, or where nobody reaches it any more and the leader has all.
    fn claim_not_needed(&self, name: &str) {
        let world = &self.world;
        if !is_data(name) {
            return;
        }
        if world.pods[name].lost {
            assert!(world.is_whole(&world.leader), "{:#?}", world.pods);
            return;
        }
        let copies = world.pods.keys().filter(|pod| is_data(pod));
        for other in copies.filter(|other| *other != name) {
            assert!(
                world.is_whole(other),
                "{name} beside {other}: {:#?}",
                world.pods
            );
        }
    }

    fn is_over(&mut self) -> bool {
        let world = &mut self.world;
        world.look();
        let (bus, observed) = (&world.scene.bus, &world.scene.observed);
        let plan = plan(bus, observed, &desired());
        let classless = bus.spec.storage.storage_class_name.is_none();
        let rolled = world.pods.values().all(|pod| {
            pod.revision == world.wanted && !pod.lost && (classless || pod.class == world.class)
        });
        let over = rolled && plan.actions.is_empty() && plan.blocked.is_empty();
        if over {
            assert!(world.leads, "{} is sealed", world.leader);
            let status = report(bus, observed, &plan, &desired());
            assert_eq!(condition(&status, kind::ROLLOUT_COMPLETE).status, "True");
            assert_eq!(status.topology.unwrap().restart, None);
        }
        over
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn one_pod_at_a_time_never_the_primary_and_in_the_end_all(
        trouble in prop::collection::vec((any::<u8>(), any::<u8>()), 0..60),
        calm in any::<u8>(),
    ) {
        let mut run = Run::new();
        run.world.roll_to(2);
        for (choice, chance) in trouble {
            run.disturb(choice);
            run.pass(chance);
        }
        run.world.roll_to(3);
        let mut over = false;
        for passes in 0..HEALING {
            let chance = calm.wrapping_mul(31).wrapping_add(u8::try_from(passes).unwrap());
            // Handovers that were refused are tried again later.
            run.world.scene.observed.now_ms += if passes % 10 == 9 { 90_000 } else { 0 };
            run.pass(chance);
            over = over || run.is_over();
        }
        let world = &run.world;
        prop_assert!(over, "{:#?} {:?} {:?}", world.pods, world.topology(), world.scene.plan());
    }
}
