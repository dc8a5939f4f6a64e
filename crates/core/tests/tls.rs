//! Which certificates stay and which are issued.
#![allow(clippy::unwrap_used)]

mod common;

use cachebus_core::tls::{
    AUTHORITY_LIFETIME_S, Authority, CertificateFacts, CertificateNames, Certificates, Kept,
    KeyPair, LEAF_LIFETIME_S, StoredCertificate, StoredCertificates, TlsDecision, authority_lost,
    decide,
};
use common::bus;
use std::collections::BTreeSet;

const DAY: i64 = 86_400;
/// When everything was issued.
const BEGIN: i64 = 1_800_000_000;

/// A certificate that an authority signed.
fn signed_by(
    signer: &str,
    text: &str,
    lifetime: i64,
    dns_names: &BTreeSet<String>,
) -> StoredCertificate {
    StoredCertificate {
        pair: KeyPair {
            certificate: text.to_owned(),
            key: format!("{text} key"),
        },
        facts: CertificateFacts {
            not_before: BEGIN,
            not_after: BEGIN + lifetime,
            dns_names: dns_names.clone(),
            signers: BTreeSet::from([signer.to_owned()]),
            key_matches: true,
        },
    }
}

fn authority(text: &str) -> StoredCertificate {
    signed_by(text, text, AUTHORITY_LIFETIME_S, &BTreeSet::new())
}

fn names() -> CertificateNames {
    CertificateNames::of(&bus("{}"))
}

fn stored() -> StoredCertificates {
    let leaf = |text, names| Some(signed_by("authority", text, LEAF_LIFETIME_S, names));
    StoredCertificates {
        authorities: vec![authority("authority"), authority("authority")],
        serving: leaf("serving", &names().serving),
        operator: leaf("operator", &names().operator),
    }
}

fn pair(text: &str) -> KeyPair {
    KeyPair {
        certificate: text.to_owned(),
        key: format!("{text} key"),
    }
}

fn keep() -> TlsDecision {
    TlsDecision::Keep(Certificates {
        authority: Authority::Whole(pair("authority")),
        serving: pair("serving"),
        operator: pair("operator"),
    })
}

/// What is kept of a lost authority is what it signed.
fn lost() -> TlsDecision {
    TlsDecision::Keep(Certificates {
        authority: Authority::Lost {
            certificate: "authority".to_owned(),
        },
        serving: pair("serving"),
        operator: pair("operator"),
    })
}

/// Everything is issued but these.
fn all_but(kept: &[&str]) -> TlsDecision {
    let kept = |text| kept.contains(&text).then(|| pair(text));
    TlsDecision::Issue(Kept {
        authority: kept("authority"),
        serving: kept("serving"),
        operator: kept("operator"),
    })
}

fn all() -> TlsDecision {
    all_but(&[])
}

fn serving() -> TlsDecision {
    all_but(&["authority", "operator"])
}

fn operator() -> TlsDecision {
    all_but(&["authority", "serving"])
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
        (0, keep()),
        (243, keep()),
        (244, all_but(&["authority"])),
        (400, all_but(&["authority"])),
        (3_650, all()),
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
    assert_eq!(decide(&stored(), BEGIN - DAY, &names()), keep());
}

#[test]
fn what_is_missing_or_spoilt_is_issued_and_the_rest_stays() {
    assert_eq!(
        after(|stored| *stored = StoredCertificates::default()),
        all()
    );
    assert_eq!(after(|stored| stored.serving = None), serving());
    assert_eq!(after(|stored| stored.operator = None), operator());
    assert_eq!(
        after(|stored| facts(&mut stored.serving).key_matches = false),
        serving()
    );
    assert_eq!(
        after(|stored| facts(&mut stored.serving).signers.clear()),
        serving()
    );
    assert_eq!(
        after(|stored| facts(&mut stored.operator).key_matches = false),
        operator()
    );
}

fn facts(certificate: &mut Option<StoredCertificate>) -> &mut CertificateFacts {
    &mut certificate.as_mut().unwrap().facts
}

#[test]
fn either_copy_of_the_authority_may_be_lost_or_spoilt() {
    for copy in [0, 1] {
        let ways: [fn(&mut StoredCertificates, usize); 4] = [
            |stored, copy| {
                stored.authorities.remove(copy);
            },
            |stored, copy| stored.authorities[copy].facts.key_matches = false,
            |stored, copy| stored.authorities[copy].facts.signers.clear(),
            // Another authority, as good as the first, that has signed nothing.
            |stored, copy| stored.authorities[copy] = authority("another"),
        ];
        for way in ways {
            assert_eq!(after(|stored| way(stored, copy)), keep());
        }
    }
}

#[test]
fn an_authority_that_is_lost_is_not_replaced_while_pods_serve_what_it_signed() {
    let without = |mut stored: StoredCertificates, day: i64| {
        stored.authorities.clear();
        decide(&stored, BEGIN + day * DAY, &names())
    };
    assert_eq!(without(stored(), 1), lost());
    // Renewal is due, and there is nobody to sign.
    assert_eq!(without(stored(), 364), lost());
    assert_eq!(without(stored(), 365), all());
    // Whoever wants a new one takes away what pods serve.
    let mut wanted = stored();
    wanted.serving = None;
    assert_eq!(without(wanted, 1), all());
}

#[test]
fn an_authority_whose_key_alone_is_spoilt_is_lost() {
    let spoil = |stored: &mut StoredCertificates| {
        for copy in &mut stored.authorities {
            copy.facts.key_matches = false;
        }
    };
    assert_eq!(after(spoil), lost());
}

#[test]
fn without_authority_and_the_operators_certificate_nothing_can_be_done() {
    for amiss in [
        |operator: &mut Option<StoredCertificate>| *operator = None,
        |operator: &mut Option<StoredCertificate>| facts(operator).key_matches = false,
        |operator: &mut Option<StoredCertificate>| facts(operator).signers.clear(),
    ] {
        let decision = after(|stored| {
            stored.authorities.clear();
            amiss(&mut stored.operator);
        });
        assert_eq!(decision, TlsDecision::CutOff);
    }
}

#[test]
fn who_loses_the_authority_is_told_what_to_do() {
    let lost = authority_lost(&bus("{}").names);
    assert_eq!(lost.reason, "AuthorityLost");
    for secret in ["b-ca", "b-credentials", "b-tls"] {
        assert!(lost.message.contains(secret), "{}", lost.message);
    }
}

#[test]
fn other_names_need_another_certificate() {
    let fewer = |stored: &mut StoredCertificates| {
        facts(&mut stored.serving).dns_names.remove("localhost");
    };
    let more = |stored: &mut StoredCertificates| {
        facts(&mut stored.operator).dns_names.insert("x".to_owned());
    };
    assert_eq!(after(fewer), serving());
    assert_eq!(after(more), operator());
}

#[test]
fn a_certificate_as_old_as_its_authority_is_not_issued_over_and_over() {
    let mut stored = stored();
    let end = BEGIN + AUTHORITY_LIFETIME_S;
    for leaf in [&mut stored.serving, &mut stored.operator] {
        facts(leaf).not_after = end;
    }
    assert_eq!(decide(&stored, end - DAY, &names()), keep());
    assert_eq!(decide(&stored, end, &names()), all());
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
