//! What is reported of certificates.

use crate::scene::{NOW_S, Scene, desired};
use crate::status::{condition, is, reported};
use cachebus_api::settings::TlsMode;
use cachebus_core::plan::{Desired, Plan, reason};
use cachebus_core::protocol::NodeStatus;
use cachebus_core::status::{cut_off, kind, report};
use cachebus_core::tls::authority_lost;

#[test]
fn certificates_are_missing_expired_or_not_wanted() {
    let scene = Scene::well();
    let say = |scene: &Scene, expires| {
        let plan = Plan::default();
        let desired = Desired {
            certificate_expires: expires,
            ..Desired::default()
        };
        let status = report(&scene.bus, &scene.observed, &plan, &desired);
        condition(&status, kind::TLS_READY).reason.clone()
    };
    assert_eq!(say(&scene, None), "NotIssued");
    assert_eq!(say(&scene, Some(NOW_S - 1)), "Expired");
    let plain = Scene::new("{tls: {mode: Disabled}}");
    assert_eq!(say(&plain, None), "Disabled");
}

#[test]
fn sentinels_alone_need_a_restart_for_another_certificate() {
    let owed = |scene: &Scene| -> Vec<(String, String)> {
        let owed = reported(scene).pending_restart.into_iter();
        owed.map(|owed| (owed.pod, owed.reason)).collect()
    };
    let with_another = |mut scene: Scene| {
        let observed = &mut scene.observed;
        for nodes in [&mut observed.data, &mut observed.sentinels] {
            for (pod, node) in nodes {
                if ["b-redis-0", "b-sentinel-1"].contains(&pod.as_str()) {
                    // One that ends in the same second is still another.
                    node.agent.as_mut().unwrap().certificate = Some("abad1dea".to_owned());
                }
            }
        }
        scene
    };
    let scene = with_another(Scene::well());
    let reason = "serves another certificate".to_owned();
    assert_eq!(owed(&scene), [("b-sentinel-1".to_owned(), reason)]);
    is(&scene, kind::TLS_READY, "False", "OtherCertificate");
    is(&scene, kind::ROLLOUT_COMPLETE, "False", reason::ROLLING_OUT);

    let mut plain = scene.clone();
    plain.bus.spec.tls.mode = TlsMode::Disabled;
    assert_eq!(owed(&plain), []);

    // One that does not run will start with the certificate that there is.
    let mut stopped = scene;
    let node = stopped.observed.sentinels.get_mut("b-sentinel-1").unwrap();
    if let NodeStatus::Sentinel(sentinel) = &mut node.agent.as_mut().unwrap().node {
        sentinel.up = false;
    }
    assert_eq!(owed(&stopped), []);
}

#[test]
fn an_authority_that_is_lost_is_said_whatever_nodes_serve() {
    let scene = Scene::well();
    let mut plan = scene.plan();
    plan.blocked.push(authority_lost(&scene.bus.names));
    let status = report(&scene.bus, &scene.observed, &plan, &desired());
    for kind in [kind::TLS_READY, kind::READY] {
        let said = condition(&status, kind);
        assert_eq!(
            (said.status.as_str(), said.reason.as_str()),
            ("False", reason::AUTHORITY_LOST)
        );
    }
    assert_eq!(condition(&status, kind::AVAILABLE).status, "True");
}

#[test]
fn a_bus_that_is_cut_off_keeps_what_was_last_known_of_it() {
    let scene = Scene::well();
    let known = reported(&scene);
    let lost = authority_lost(&scene.bus.names);
    let status = cut_off(known.clone(), 2, &lost, scene.observed.now_ms);
    assert_eq!(status.topology, known.topology);
    assert_eq!(
        condition(&status, kind::AVAILABLE),
        condition(&known, kind::AVAILABLE)
    );
    for kind in [kind::TLS_READY, kind::READY] {
        assert_eq!(condition(&status, kind).reason, reason::AUTHORITY_LOST);
    }
    let later = scene.observed.now_ms + 60_000;
    assert_eq!(
        cut_off(status.clone(), 2, &lost, later),
        status,
        "it is written once"
    );
}
