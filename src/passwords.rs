//! New passwords.

use cachebus_core::credentials::{MIN_PASSWORD_LENGTH, Password};
use rustls::crypto::SecureRandom;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The operating system gave no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("no random numbers to draw a password from")]
pub struct NoRandomness;

/// Draws a password: letters and digits, each equally likely.
pub fn draw(random: &dyn SecureRandom) -> Result<Password, NoRandomness> {
    // Bytes beyond the largest multiple of 62 would prefer the first letters.
    const FAIR: u8 = 248;
    let mut text = String::with_capacity(MIN_PASSWORD_LENGTH);
    let mut bytes = [0_u8; 64];
    while text.len() < MIN_PASSWORD_LENGTH {
        random.fill(&mut bytes).map_err(|_| NoRandomness)?;
        let letters = bytes
            .iter()
            .filter(|byte| **byte < FAIR)
            .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
        text.extend(letters.take(MIN_PASSWORD_LENGTH - text.len()));
    }
    Ok(Password::new(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{ALPHABET, draw};
    use rustls::crypto::{GetRandomFailed, SecureRandom};
    use std::sync::atomic::{AtomicU8, Ordering};

    /// Every byte in turn, so that each letter must come up equally often.
    #[derive(Debug, Default)]
    struct Counting(AtomicU8);

    impl SecureRandom for Counting {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
            for byte in bytes {
                *byte = self.0.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }
    }

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
    fn bytes_that_would_prefer_some_letters_are_passed_over() {
        let start = Counting(AtomicU8::new(240));
        let text = draw(&start).unwrap();
        // 240..248 are letters, 248..256 are passed over, then it begins anew.
        let expected: Vec<u8> = (240..248)
            .chain(0..24)
            .map(|byte| ALPHABET[byte % 62])
            .collect();
        assert_eq!(text.expose().as_bytes(), expected);
    }

    #[test]
    fn without_randomness_there_is_no_password() {
        draw(&Broken).unwrap_err();
    }
}
