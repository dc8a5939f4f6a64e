//! A pod whose agent says what this operator has no word for.

use crate::choice::{restarted, waiting_for};
use crate::scene::{Scene, leads, sealed};
use cachebus_core::plan::reason;
use cachebus_core::protocol::{DataStatus, Phase};

fn elsewhere(data: DataStatus) -> DataStatus {
    DataStatus {
        phase: Phase::Unknown,
        ..data
    }
}

#[test]
fn it_is_told_nothing() {
    let replica = sealed(7, "b-redis-0", 1);
    let told = Scene::well().node(1, replica.clone()).orders();
    assert_eq!(told, [("b-redis-1".to_owned(), "b-redis-0".to_owned())]);
    let scene = Scene::well().node(1, elsewhere(replica));
    assert_eq!(scene.orders(), []);
    let primary = Scene::well().node(0, elsewhere(leads(1)));
    assert_eq!(primary.orders(), []);
    assert_eq!(primary.reasons(), [reason::PRIMARY_UNREACHABLE]);
}

#[test]
fn no_primary_is_chosen_while_it_may_have_the_newest_copy() {
    let scene = restarted()
        .node(0, elsewhere(sealed(5, "b-redis-0", 3)))
        .node(1, sealed(7, "b-redis-0", 3))
        .node(2, sealed(7, "b-redis-0", 3));
    let scene = waiting_for(scene, 400);
    assert_eq!(scene.actions(), []);
    assert_eq!(scene.reasons()[0], reason::WAITING_FOR_COPIES);
}
