//! Passwords: which are taken, and how they are kept: argon2id (RFC 9106) in the PHC string format.

use std::fmt;
use std::sync::LazyLock;

use argon2::password_hash::{Output, ParamsString, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

use crate::domain::{Invalid, PasswordHash, UserName};

const MIN_CHARACTERS: usize = 10;
/// Hashing takes longer with the length, and everybody may try.
const MAX_BYTES: usize = 1024;
const SALT_BYTES: usize = 16;

/// What OWASP recommends: 19 MiB and two passes. 30 to 50 ms on a desktop's core, about 0.3 s on a small ARM core.
const MEMORY_KIBIBYTES: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The largest threshold that glibc gives itself for mapping memory instead of keeping it.
const ALWAYS_MAPPED_BYTES: usize = 33 * 1024 * 1024;

/// Passwords of at least ten characters that everybody tries first, in small letters.
static COMMON: LazyLock<Vec<&str>> = LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

/// A password that may be set.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes a password that `name` chose: long enough, not among the commonest, not their own name.
    pub fn parse(text: Zeroizing<String>, name: &UserName) -> Result<Self, Invalid> {
        if text.chars().count() < MIN_CHARACTERS {
            return Err(Invalid::new(format!("the password is too short: use at least {MIN_CHARACTERS} characters")));
        }
        if text.len() > MAX_BYTES {
            return Err(Invalid::new(format!("the password is too long: use at most {MAX_BYTES} bytes")));
        }
        let in_small_letters = Zeroizing::new(text.to_lowercase());
        if COMMON.contains(&in_small_letters.as_str()) || in_small_letters.as_str() == name.as_str() {
            return Err(Invalid::new("the password is one of those that are tried first: choose another"));
        }
        Ok(Self(text))
    }

    /// Hashes it with a new salt. Takes some 0.05 to 0.3 s of arithmetic and 19 MiB: not for an async thread.
    pub fn hash(&self) -> Result<PasswordHash, PasswordError> {
        hash(&self.0)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Hashing failed: no random bytes, or no memory.
#[derive(Debug, thiserror::Error)]
#[error("hashing a password: {0}")]
pub struct PasswordError(String);

impl From<argon2::Error> for PasswordError {
    fn from(error: argon2::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<argon2::password_hash::Error> for PasswordError {
    fn from(error: argon2::password_hash::Error) -> Self {
        Self(error.to_string())
    }
}

/// What came of comparing a password with a hash.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is another password.
    Wrong,
    /// It is the password.
    Right,
    /// It is the password, hashed in a way that is not today's; here is today's hash.
    Outdated(PasswordHash),
}

/// Whether `candidate` is the password of this hash. Without a hash it is not, and that takes as long. Not for an async
/// thread.
pub fn verify(candidate: &str, hash: Option<&PasswordHash>) -> Verdict {
    if candidate.len() > MAX_BYTES {
        return Verdict::Wrong;
    }
    let Some(hash) = hash else {
        // The work is done for its time; a failure could only be one of memory.
        let _ = self::hash(candidate);
        return Verdict::Wrong;
    };
    let Ok(stored) = argon2::PasswordHash::new(hash.as_str()) else { return Verdict::Wrong };
    let (Some(expected), Ok(settings)) = (stored.hash, Settings::of(&stored)) else { return Verdict::Wrong };
    match settings.digest(candidate, expected.len()) {
        // Outputs are compared in constant time.
        Ok(digest) if digest == expected => {}
        _ => return Verdict::Wrong,
    }
    let is_todays = Settings::todays(settings.salt.clone()).is_ok_and(|todays| todays == settings);
    if is_todays { Verdict::Right } else { self::hash(candidate).map_or(Verdict::Right, Verdict::Outdated) }
}

fn hash(text: &str) -> Result<PasswordHash, PasswordError> {
    let mut salt = vec![0_u8; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(|error| PasswordError(error.to_string()))?;
    let settings = Settings::todays(salt)?;
    let digest = settings.digest(text, Params::DEFAULT_OUTPUT_LEN)?;
    Ok(PasswordHash::from_phc(settings.phc(digest)?))
}

/// How a password is hashed.
#[derive(PartialEq)]
struct Settings {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
}

impl Settings {
    fn todays(salt: Vec<u8>) -> Result<Self, PasswordError> {
        let params = Params::new(MEMORY_KIBIBYTES, PASSES, LANES, None)?;
        Ok(Self { algorithm: Algorithm::Argon2id, version: Version::V0x13, params, salt })
    }

    fn of(stored: &argon2::PasswordHash<'_>) -> Result<Self, PasswordError> {
        let mut salt = [0; Salt::MAX_LENGTH];
        let salt = stored.salt.map(|text| text.decode_b64(&mut salt)).transpose()?.unwrap_or_default().to_vec();
        // Without the output's length, which is no part of how it is hashed.
        let params = Params::try_from(stored)?;
        let params = Params::new(params.m_cost(), params.t_cost(), params.p_cost(), None)?;
        let version = stored.version.map_or(Ok(Version::V0x10), Version::try_from)?;
        Ok(Self { algorithm: Algorithm::try_from(stored.algorithm)?, version, params, salt })
    }

    fn digest(&self, text: &str, length_bytes: usize) -> Result<Output, PasswordError> {
        let blocks = self.params.block_count();
        // glibc maps what is this large, and gives it back when it is freed; less it would keep for each thread that hashed.
        // What is reserved and not used takes no memory.
        let mut memory = Vec::with_capacity(blocks.max(ALWAYS_MAPPED_BYTES / Block::SIZE));
        memory.resize(blocks, Block::default());
        let hasher = Argon2::new(self.algorithm, self.version, self.params.clone());
        let digest = Output::init_with(length_bytes, |output| {
            Ok(hasher.hash_password_into_with_memory(text.as_bytes(), &self.salt, output, &mut memory)?)
        });
        Ok(digest?)
    }

    fn phc(&self, digest: Output) -> Result<String, PasswordError> {
        let salt = SaltString::encode_b64(&self.salt)?;
        let hash = argon2::PasswordHash {
            algorithm: self.algorithm.ident(),
            version: Some(self.version.into()),
            params: ParamsString::try_from(&self.params)?,
            salt: Some(salt.as_salt()),
            hash: Some(digest),
        };
        Ok(hash.to_string())
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordHasher;

    use super::*;

    fn parse(text: &str) -> Result<Password, Invalid> {
        Password::parse(Zeroizing::new(text.to_owned()), &"annamaria.k".parse().unwrap())
    }

    #[test]
    fn short_and_common_passwords_are_refused() {
        for bad in ["", "123456789", "ääääääääü", "1234567890", "Password123", "QWERTYUIOP", "AnnaMaria.K"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        for good in ["aaaaaaaaab", "ääääääääüü", "correct horse", "          x"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        assert!(parse(&"x".repeat(MAX_BYTES + 1)).is_err());
        assert!(COMMON.iter().all(|common| common.chars().count() >= MIN_CHARACTERS));
        assert!(COMMON.iter().all(|common| common.to_lowercase() == *common));
    }

    #[test]
    fn a_password_is_known_by_its_hash() {
        let hash = parse("correct horse").unwrap().hash().unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        assert_ne!(parse("correct horse").unwrap().hash().unwrap(), hash, "each has a salt of its own");
        assert_eq!(verify("correct horse", Some(&hash)), Verdict::Right);
        assert_eq!(verify("correct horsf", Some(&hash)), Verdict::Wrong);
        assert_eq!(verify("", Some(&hash)), Verdict::Wrong);
        assert_eq!(verify("correct horse", None), Verdict::Wrong);
        assert_eq!(verify("correct horse", Some(&PasswordHash::from_phc("damaged".into()))), Verdict::Wrong);
        assert_eq!(format!("{hash:?} {:?}", parse("correct horse").unwrap()), "PasswordHash(…) Password(…)");
    }

    #[test]
    fn hashes_with_other_parameters_are_renewed() {
        let salt = SaltString::encode_b64(b"0123456789abcdef").unwrap();
        for (algorithm, memory) in [(Algorithm::Argon2id, 1024), (Algorithm::Argon2i, MEMORY_KIBIBYTES)] {
            let params = Params::new(memory, PASSES, LANES, None).unwrap();
            let hasher = Argon2::new(algorithm, Version::V0x13, params);
            let old = PasswordHash::from_phc(hasher.hash_password(b"correct horse", &salt).unwrap().to_string());
            let Verdict::Outdated(renewed) = verify("correct horse", Some(&old)) else { panic!("{}", old.as_str()) };
            assert_eq!(verify("correct horse", Some(&renewed)), Verdict::Right);
            assert_eq!(verify("wrong horse", Some(&old)), Verdict::Wrong);
        }
    }
}
