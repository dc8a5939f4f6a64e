#![allow(clippy::unwrap_used)]

use super::{expiry, settle, stored};
use crate::testing;
use cachebus_core::tls::{Certificates, KeyPair, StoredCertificates};

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

fn stored_certificates(certificates: &Certificates) -> StoredCertificates {
    let Certificates {
        authority,
        serving,
        operator,
    } = certificates;
    StoredCertificates {
        authority: stored(authority.clone(), None),
        serving: stored(serving.clone(), Some(authority)),
        operator: stored(operator.clone(), Some(authority)),
    }
}

#[test]
fn what_was_issued_is_kept() {
    let bus = testing::bus("b");
    let issued = settle(&bus, &StoredCertificates::default(), NOW).unwrap();
    let again = settle(&bus, &stored_certificates(&issued), NOW + DAY).unwrap();
    assert_eq!(again, issued);
    assert_eq!(expiry(&issued.serving.certificate), Some(NOW + 365 * DAY));
}

#[test]
fn a_leaf_that_is_lost_comes_back_from_the_same_authority() {
    let bus = testing::bus("b");
    let issued = settle(&bus, &StoredCertificates::default(), NOW).unwrap();
    let mut left = stored_certificates(&issued);
    left.serving = None;
    let again = settle(&bus, &left, NOW).unwrap();
    assert_eq!(again.authority, issued.authority);
    assert_eq!(again.operator, issued.operator);
    assert_ne!(again.serving, issued.serving);
    assert!(
        stored(again.serving, Some(&issued.authority))
            .unwrap()
            .facts
            .issuer_matches
    );
}

#[test]
fn a_certificate_of_another_authority_or_key_is_told() {
    let [mine, other] = ["b", "c"]
        .map(|name| settle(&testing::bus(name), &StoredCertificates::default(), NOW).unwrap());
    let foreign = stored(other.serving.clone(), Some(&mine.authority)).unwrap();
    assert!(!foreign.facts.issuer_matches && foreign.facts.key_matches);
    let mixed = KeyPair {
        certificate: mine.serving.certificate,
        key: other.serving.key,
    };
    let mixed = stored(mixed, Some(&mine.authority)).unwrap();
    assert!(mixed.facts.issuer_matches && !mixed.facts.key_matches);
}

#[test]
fn nothing_is_read_from_what_is_no_certificate() {
    let pair = KeyPair {
        certificate: "nonsense".to_owned(),
        key: String::new(),
    };
    assert_eq!(stored(pair, None), None);
}
