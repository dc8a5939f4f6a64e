//! Where the Services lead.

use crate::fixture::{SERVICES, Sets, bus, endpoint, objects, rendered_with};
use cachebus_core::render::{Endpoint, Routes};
use serde_json::{Value, json};

fn endpoints(routes: &Routes) -> (Value, Value) {
    let objects = objects(&rendered_with(&bus(SERVICES), routes, &Sets::new()));
    (
        objects["primary_endpoints"]["endpoints"].clone(),
        objects["replicas_endpoints"]["endpoints"].clone(),
    )
}

#[test]
fn without_a_primary_its_service_leads_nowhere() {
    let (primary, replicas) = endpoints(&Routes {
        primary: None,
        stays: false,
        replicas: vec![endpoint(1)],
    });
    assert_eq!(primary, json!([]));
    assert_eq!(replicas[0]["targetRef"]["name"], "platform-redis-1");
}

#[test]
fn a_route_that_stays_is_not_sent() {
    let routes = Routes {
        stays: true,
        ..Routes::default()
    };
    let rendered = rendered_with(&bus(SERVICES), &routes, &Sets::new());
    assert_eq!(rendered.primary_endpoints, None);
}

#[test]
fn a_replica_that_is_not_ready_takes_no_connections() {
    let waiting = Endpoint {
        ready: false,
        node: None,
        ..endpoint(2)
    };
    let (_, replicas) = endpoints(&Routes {
        primary: Some(endpoint(0)),
        stays: false,
        replicas: vec![waiting],
    });
    assert_eq!(
        replicas,
        json!([{
            "addresses": ["10.0.0.2"],
            "conditions": {"ready": false, "serving": false, "terminating": false},
            "targetRef": {"kind": "Pod", "name": "platform-redis-2", "namespace": "data"},
        }])
    );
}
