//! New passwords.

use cachebus_core::credentials::{self, Password};
use rustls::crypto::SecureRandom;

/// The operating system gave no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("no random numbers to draw a password from")]
pub struct NoRandomness;

/// Draws a password from the operating system's random numbers.
pub fn draw(random: &dyn SecureRandom) -> Result<Password, NoRandomness> {
    credentials::draw(&mut |bytes| random.fill(bytes).map_err(|_| NoRandomness))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::draw;
    use rustls::crypto::{GetRandomFailed, SecureRandom};

    #[derive(Debug)]
    struct Broken;

    impl SecureRandom for Broken {
        fn fill(&self, _: &mut [u8]) -> Result<(), GetRandomFailed> {
            Err(GetRandomFailed)
        }
    }

    #[test]
    fn passwords_are_well_formed_and_differ() {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let [one, other] = [0, 1].map(|_| draw(provider.secure_random).unwrap());
        assert!(one.is_well_formed());
        assert_ne!(one, other);
    }

    #[test]
    fn without_randomness_there_is_no_password() {
        draw(&Broken).unwrap_err();
    }
}
