//! Which certificates stay and which are issued.
#![allow(clippy::unwrap_used)]

mod common;

use cachebus_core::tls::{
    AUTHORITY_LIFETIME_S, CertificateFacts, CertificateNames, Certificates, KeyPair,
    LEAF_LIFETIME_S, StoredCertificate, StoredCertificates, TlsDecision, decide,
};
use common::bus;
use std::collections::BTreeSet;

const DAY: i64 = 86_400;
/// When everything was issued.
const BEGIN: i64 = 1_800_000_000;

fn certificate(text: &str, lifetime: i64, dns_names: &BTreeSet<String>) -> StoredCertificate {
    StoredCertificate {
        pair: KeyPair {
            certificate: text.to_owned(),
            key: format!("{text} key"),
        },
        facts: CertificateFacts {
            not_before: BEGIN,
            not_after: BEGIN + lifetime,
            dns_names: dns_names.clone(),
            issuer_matches: true,
            key_matches: true,
        },
    }
}

fn names() -> CertificateNames {
    CertificateNames::of(&bus("{}"))
}

fn stored() -> StoredCertificates {
    StoredCertificates {
        authority: Some(certificate(
            "authority",
            AUTHORITY_LIFETIME_S,
            &BTreeSet::new(),
        )),
        serving: Some(certificate("serving", LEAF_LIFETIME_S, &names().serving)),
        operator: Some(certificate("operator", LEAF_LIFETIME_S, &names().operator)),
    }
}

fn keep(stored: &StoredCertificates) -> TlsDecision {
    let pair = |stored: &Option<StoredCertificate>| stored.clone().unwrap().pair;
    TlsDecision::Keep(Certificates {
        authority: pair(&stored.authority),
        serving: pair(&stored.serving),
        operator: pair(&stored.operator),
    })
}

const ALL: TlsDecision = issue(true, true, true);
const SERVING: TlsDecision = issue(false, true, false);
const OPERATOR: TlsDecision = issue(false, false, true);

const fn issue(authority: bool, serving: bool, operator: bool) -> TlsDecision {
    TlsDecision::Issue {
        authority,
        serving,
        operator,
    }
}

/// The decision when `change` has been made to good certificates, a day after they were issued.
fn after(change: impl FnOnce(&mut StoredCertificates)) -> TlsDecision {
    let mut stored = stored();
    change(&mut stored);
    decide(&stored, BEGIN + DAY, &names())
}

#[test]
fn good_certificates_stay_for_two_thirds_of_their_life() {
    for (day, decision) in [
        (0, keep(&stored())),
        (243, keep(&stored())),
        (244, issue(false, true, true)),
        (400, issue(false, true, true)),
        (3_650, ALL),
    ] {
        assert_eq!(
            decide(&stored(), BEGIN + day * DAY, &names()),
            decision,
            "day {day}"
        );
    }
}

#[test]
fn a_clock_that_was_set_back_issues_nothing() {
    assert_eq!(decide(&stored(), BEGIN - DAY, &names()), keep(&stored()));
}

#[test]
fn what_is_missing_or_spoilt_is_issued_and_the_rest_stays() {
    assert_eq!(after(|stored| *stored = StoredCertificates::default()), ALL);
    assert_eq!(after(|stored| stored.authority = None), ALL);
    assert_eq!(after(|stored| stored.serving = None), SERVING);
    assert_eq!(after(|stored| stored.operator = None), OPERATOR);
    assert_eq!(
        after(|stored| facts(&mut stored.authority).key_matches = false),
        ALL
    );
    assert_eq!(
        after(|stored| facts(&mut stored.authority).issuer_matches = false),
        ALL
    );
    assert_eq!(
        after(|stored| facts(&mut stored.serving).key_matches = false),
        SERVING
    );
    assert_eq!(
        after(|stored| facts(&mut stored.serving).issuer_matches = false),
        SERVING
    );
    assert_eq!(
        after(|stored| facts(&mut stored.operator).key_matches = false),
        OPERATOR
    );
}

fn facts(certificate: &mut Option<StoredCertificate>) -> &mut CertificateFacts {
    &mut certificate.as_mut().unwrap().facts
}

#[test]
fn other_names_need_another_certificate() {
    let fewer = |stored: &mut StoredCertificates| {
        facts(&mut stored.serving).dns_names.remove("localhost");
    };
    let more = |stored: &mut StoredCertificates| {
        facts(&mut stored.operator).dns_names.insert("x".to_owned());
    };
    assert_eq!(after(fewer), SERVING);
    assert_eq!(after(more), OPERATOR);
}

#[test]
fn a_certificate_as_old_as_its_authority_is_not_issued_over_and_over() {
    let mut stored = stored();
    let end = BEGIN + AUTHORITY_LIFETIME_S;
    for leaf in [&mut stored.serving, &mut stored.operator] {
        facts(leaf).not_after = end;
    }
    assert_eq!(decide(&stored, end - DAY, &names()), keep(&stored));
    assert_eq!(decide(&stored, end, &names()), ALL);
}

#[test]
fn the_names_are_those_by_which_pods_and_services_are_reached() {
    let names = names();
    for name in [
        "*.b-redis-nodes.n.svc.cluster.local",
        "*.b-sentinel-nodes.n.svc.cluster.local",
        "b-primary",
        "b-primary.n",
        "b-primary.n.svc",
        "b-primary.n.svc.cluster.local",
        "b-replicas.n.svc.cluster.local",
        "b-sentinel.n.svc.cluster.local",
        "localhost",
    ] {
        assert!(names.serving.contains(name), "{name}");
    }
    assert_eq!(
        names.operator.into_iter().collect::<Vec<_>>(),
        ["operator.b.n.cachebus.dev"]
    );
}

#[test]
fn a_key_never_shows_in_debug_output() {
    let shown = format!("{:?}", stored());
    assert!(!shown.contains("serving key"), "{shown}");
}
