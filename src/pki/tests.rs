#![allow(clippy::unwrap_used)]

use super::{expiry, settle, stored};
use crate::testing;
use cachebus_core::bus::Bus;
use cachebus_core::tls::{Certificates, KeyPair, StoredCertificates};
use std::collections::BTreeSet;

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

fn settled(bus: &Bus, stored: &StoredCertificates, now_s: i64) -> Certificates {
    settle(bus, stored, now_s).unwrap().unwrap()
}

fn issued(bus: &Bus) -> Certificates {
    settled(bus, &StoredCertificates::default(), NOW)
}

fn stored_certificates(certificates: &Certificates) -> StoredCertificates {
    let Certificates {
        authority,
        serving,
        operator,
    } = certificates;
    let certificate = authority.certificate();
    let copies = authority.pair().into_iter().cloned();
    StoredCertificates {
        authorities: copies
            .filter_map(|copy| stored(copy, [certificate]))
            .collect(),
        serving: stored(serving.clone(), [certificate]),
        operator: stored(operator.clone(), [certificate]),
    }
}

#[test]
fn what_was_issued_is_kept() {
    let bus = testing::bus("b");
    let issued = issued(&bus);
    let again = settled(&bus, &stored_certificates(&issued), NOW + DAY);
    assert_eq!(again, issued);
    assert_eq!(expiry(&issued.serving.certificate), Some(NOW + 365 * DAY));
}

#[test]
fn a_leaf_that_is_lost_comes_back_from_the_same_authority() {
    let bus = testing::bus("b");
    let issued = issued(&bus);
    let mut left = stored_certificates(&issued);
    left.serving = None;
    let again = settled(&bus, &left, NOW);
    assert_eq!(again.authority, issued.authority);
    assert_eq!(again.operator, issued.operator);
    assert_ne!(again.serving, issued.serving);
    let certificate = issued.authority.certificate();
    let facts = stored(again.serving, [certificate]).unwrap().facts;
    assert_eq!(facts.signers, BTreeSet::from([certificate.to_owned()]));
}

#[test]
fn an_authority_that_is_lost_takes_nothing_with_it() {
    let bus = testing::bus("b");
    let issued = issued(&bus);
    let mut left = stored_certificates(&issued);
    left.authorities.clear();
    let again = settled(&bus, &left, NOW + DAY);
    assert_eq!(again.authority.pair(), None);
    assert_eq!(
        again.authority.certificate(),
        issued.authority.certificate()
    );
    assert_eq!(again.serving, issued.serving);
    left.operator = None;
    assert_eq!(settle(&bus, &left, NOW + DAY).unwrap(), None);
}

#[test]
fn a_certificate_of_another_authority_or_key_is_told() {
    let [mine, other] = ["b", "c"].map(|name| issued(&testing::bus(name)));
    let authority = mine.authority.certificate();
    let foreign = stored(other.serving.clone(), [authority, "nonsense"]).unwrap();
    assert!(foreign.facts.signers.is_empty() && foreign.facts.key_matches);
    let mixed = KeyPair {
        certificate: mine.serving.certificate,
        key: other.serving.key,
    };
    let mixed = stored(mixed, [authority]).unwrap();
    assert!(!mixed.facts.signers.is_empty() && !mixed.facts.key_matches);
}

#[test]
fn nothing_is_read_from_what_is_no_certificate() {
    let pair = KeyPair {
        certificate: "nonsense".to_owned(),
        key: String::new(),
    };
    assert_eq!(stored(pair, []), None);
}
