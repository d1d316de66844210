//! SCRAM-SHA-256, the server's side: RFC 5802 and RFC 7677, with secrets as PostgreSQL writes them.
//!
//! What is stored does not let its reader log in: the proof needs the client's key, of which only a hash is here.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

/// Rounds of new secrets. RFC 7677 wants at least 4096; a client reckons them once a login.
pub(super) const ROUNDS: u32 = 15_000;
/// The most rounds that are read from a file; a login reckons them on the pages.
const ROUNDS_MAX: u32 = 1_000_000;

type Key = [u8; 32];

/// Seals what instances of one fleet say to each other, by a secret that they share.
#[derive(Clone)]
pub struct Seal(Vec<u8>);

impl Seal {
    /// A seal by this secret.
    pub fn new(secret: &str) -> Seal {
        Seal(hmac(secret.as_bytes(), &[b"callpulse fleet"]).to_vec())
    }

    /// The bytes behind their seal, which holds under this name only.
    pub fn close(&self, name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut sealed = self.mark(name, bytes).to_vec();
        sealed.extend_from_slice(bytes);
        sealed
    }

    /// The bytes, where the seal is whole.
    pub fn open<'b>(&self, name: &str, sealed: &'b [u8]) -> Option<&'b [u8]> {
        let (mark, bytes) = sealed.split_first_chunk::<32>()?;
        same(&self.mark(name, bytes), mark).then_some(bytes)
    }

    fn mark(&self, name: &str, bytes: &[u8]) -> Key {
        hmac(&self.0, &[&(name.len() as u64).to_be_bytes(), name.as_bytes(), bytes])
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn hash(bytes: &[u8]) -> Key {
    Sha256::digest(bytes).into()
}

fn xor(mut left: Key, right: &Key) -> Key {
    left.iter_mut().zip(right).for_each(|(left, right)| *left ^= right);
    left
}

/// Compares in a time that does not tell where the two differ.
pub(super) fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).fold(0, |seen, (left, right)| seen | (left ^ right)) == 0
}

/// `Hi` of RFC 5802: PBKDF2 with one block.
fn salted(password: &str, salt: &[u8], rounds: u32) -> Key {
    let password = prepared(password);
    let mut round = hmac(password.as_bytes(), &[salt, &1_u32.to_be_bytes()]);
    let mut sum = round;
    for _ in 1..rounds {
        round = hmac(password.as_bytes(), &[&round]);
        sum = xor(sum, &round);
    }
    sum
}

/// The password as clients prepare it (RFC 4013): other spaces become spaces, invisible characters go, NFKC.
fn prepared(password: &str) -> String {
    if password.is_ascii() {
        return password.to_owned();
    }
    let is_space = |c: char| {
        matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200b}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
    };
    let is_nothing = |c: char| {
        matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{1806}' | '\u{180b}'..='\u{180d}' | '\u{200c}' | '\u{200d}' | '\u{2060}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        )
    };
    let mapped = password.chars().filter(|c| !is_nothing(*c)).map(|c| if is_space(c) { ' ' } else { c });
    mapped.nfkc().collect()
}

/// What is stored of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    rounds: u32,
    salt: Vec<u8>,
    stored_key: Key,
    server_key: Key,
}

impl Secret {
    /// Of this password.
    pub fn new(password: &str, salt: &[u8], rounds: u32) -> Self {
        let salted = salted(password, salt, rounds);
        Self {
            rounds,
            salt: salt.to_vec(),
            stored_key: hash(&hmac(&salted, &[b"Client Key"])),
            server_key: hmac(&salted, &[b"Server Key"]),
        }
    }

    /// Of this password, with a random salt.
    pub fn of(password: &str) -> Self {
        Self::new(password, &rand::random::<[u8; 16]>(), ROUNDS)
    }

    /// For a user that does not exist: always the same one, and no password fits.
    pub(super) fn decoy(key: &[u8], name: &str) -> Self {
        let salt = hmac(key, &[b"salt", name.as_bytes()])[..16].to_vec();
        let keys = [b"one", b"two"].map(|which| hmac(key, &[which, name.as_bytes()]));
        Self { rounds: ROUNDS, salt, stored_key: keys[0], server_key: keys[1] }
    }

    /// Whether it was made of this password.
    pub fn fits(&self, password: &str) -> bool {
        let salted = salted(password, &self.salt, self.rounds);
        same(&hash(&hmac(&salted, &[b"Client Key"])), &self.stored_key)
    }
}

/// As `pg_authid.rolpassword` has it: `SCRAM-SHA-256$<rounds>:<salt>$<StoredKey>:<ServerKey>`.
impl fmt::Display for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| STANDARD.encode(bytes);
        write!(
            out,
            "SCRAM-SHA-256${}:{}${}:{}",
            self.rounds,
            text(&self.salt),
            text(&self.stored_key),
            text(&self.server_key)
        )
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(..)")
    }
}

impl FromStr for Secret {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a password is stored as `SCRAM-SHA-256$<rounds>:<salt>$<StoredKey>:<ServerKey>`";
        let rest = text.strip_prefix("SCRAM-SHA-256$").ok_or(FORM)?;
        let (first, keys) = rest.split_once('$').ok_or(FORM)?;
        let (rounds, salt) = first.split_once(':').ok_or(FORM)?;
        let (stored, server) = keys.split_once(':').ok_or(FORM)?;
        let rounds: u32 = rounds.parse().map_err(|_| FORM)?;
        if !(4096..=ROUNDS_MAX).contains(&rounds) {
            return Err("the rounds of a password are between 4096 and 1000000");
        }
        let salt = STANDARD.decode(salt).map_err(|_| FORM)?;
        let key = |text: &str| -> Option<Key> { STANDARD.decode(text).ok()?.try_into().ok() };
        if salt.is_empty() {
            return Err(FORM);
        }
        Ok(Self { rounds, salt, stored_key: key(stored).ok_or(FORM)?, server_key: key(server).ok_or(FORM)? })
    }
}

/// Why an exchange ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// A message is not what the protocol wants.
    Message(&'static str),
    /// The proof is wrong: the password is not the user's.
    Proof,
}

/// An exchange that waits for the client's proof.
#[derive(Debug, Clone)]
pub struct Exchange {
    secret: Secret,
    header: String,
    nonce: String,
    client_first_bare: String,
    server_first: String,
}

impl Exchange {
    /// Takes the client's first message; `fresh` is a random text of this exchange.
    ///
    /// # Errors
    /// Where the message is not one, or wants what is not offered (channel binding, another user's name).
    pub fn begin(client_first: &str, secret: Secret, fresh: &str) -> Result<Self, Mistake> {
        let mut parts = client_first.splitn(3, ',');
        let (Some(binding), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Mistake::Message("the first message of SCRAM has too few parts"));
        };
        // `y`: the client could bind to the channel, and thinks that the server cannot, which is so.
        if !matches!(binding, "n" | "y") {
            return Err(Mistake::Message("channel binding is not offered"));
        }
        if !authzid.is_empty() {
            return Err(Mistake::Message("nobody acts for another user"));
        }
        let nonce = bare.split(',').find_map(|part| part.strip_prefix("r="));
        let nonce =
            nonce.filter(|nonce| !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic()));
        let Some(nonce) = nonce else {
            return Err(Mistake::Message("the first message of SCRAM has no nonce"));
        };
        if !bare.starts_with("n=") {
            return Err(Mistake::Message("the first message of SCRAM has no user"));
        }
        let nonce = format!("{nonce}{fresh}");
        let server_first = format!("r={nonce},s={},i={}", STANDARD.encode(&secret.salt), secret.rounds);
        let header = STANDARD.encode(format!("{binding},,"));
        Ok(Self { secret, header, nonce, client_first_bare: bare.to_owned(), server_first })
    }

    /// What the server answers to the first message.
    pub fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Takes the client's last message; gives the server's, which proves that the server knows the user too.
    ///
    /// # Errors
    /// [`Mistake::Proof`] where the password is not the user's.
    pub fn finish(&self, client_final: &str) -> Result<String, Mistake> {
        let Some((without_proof, proof)) = client_final.rsplit_once(",p=") else {
            return Err(Mistake::Message("the last message of SCRAM has no proof"));
        };
        let part = |name: &str| without_proof.split(',').find_map(|part| part.strip_prefix(name));
        if part("c=") != Some(self.header.as_str()) {
            return Err(Mistake::Message("the channel of SCRAM changed on the way"));
        }
        if part("r=") != Some(self.nonce.as_str()) {
            return Err(Mistake::Message("the nonce of SCRAM changed on the way"));
        }
        let proof: Option<Key> = STANDARD.decode(proof).ok().and_then(|proof| proof.try_into().ok());
        let Some(proof) = proof else {
            return Err(Mistake::Message("the proof of SCRAM cannot be read"));
        };
        let said = [self.client_first_bare.as_str(), &self.server_first, without_proof].join(",");
        let signature = hmac(&self.secret.stored_key, &[said.as_bytes()]);
        if !same(&hash(&xor(proof, &signature)), &self.secret.stored_key) {
            return Err(Mistake::Proof);
        }
        Ok(format!("v={}", STANDARD.encode(hmac(&self.secret.server_key, &[said.as_bytes()]))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3.
    #[test]
    fn the_example_of_the_standard_works() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let secret = Secret::new("pencil", &salt, 4096);
        let exchange = Exchange::begin(
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            secret.clone(),
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        )
        .expect("a first message");
        assert_eq!(
            exchange.server_first(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let last =
            |proof: &str| format!("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p={proof}");
        assert_eq!(
            exchange.finish(&last("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")),
            Ok("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".to_owned())
        );
        let wrong = STANDARD.encode([1; 32]);
        assert_eq!(exchange.finish(&last(&wrong)), Err(Mistake::Proof));
        assert!(secret.fits("pencil") && !secret.fits("Pencil"));
    }

    #[test]
    fn secrets_come_back_from_their_text() {
        let secret = Secret::of("s3cret");
        assert_eq!(secret.to_string().parse(), Ok(secret.clone()));
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        for text in ["", "plain", "SCRAM-SHA-256$1:AA==$AA==:AA==", "SCRAM-SHA-256$4096:$:"] {
            assert!(text.parse::<Secret>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_message_that_is_none_is_refused() {
        let begin = |text: &str| Exchange::begin(text, Secret::new("x", b"salt", 4096), "fresh");
        for text in
            ["", "n,,", "p=tls-server-end-point,,n=,r=abc", "n,a=other,n=,r=abc", "n,,n=,r=", "n,,r=abc"]
        {
            assert!(matches!(begin(text), Err(Mistake::Message(_))), "{text}");
        }
        let exchange = begin("y,,n=,r=abc").expect("a first message");
        for text in ["", "c=biws,r=abcfresh,p=", "c=eSws,r=other,p=AA==", "c=biws,r=abcfresh,p=AA=="] {
            assert!(matches!(exchange.finish(text), Err(Mistake::Message(_))), "{text}");
        }
    }

    #[test]
    fn passwords_are_prepared_as_clients_prepare_them() {
        assert_eq!(prepared("I\u{ad}X"), "IX");
        assert_eq!(prepared("\u{2168}"), "IX");
        assert_eq!(prepared("a\u{a0}b"), "a b");
        assert_eq!(prepared("密码"), "密码");
    }

    #[test]
    fn a_seal_holds_for_its_secret_its_name_and_its_bytes() {
        let seal = Seal::new("secret");
        let sealed = seal.close("a", b"word");
        assert_eq!(seal.open("a", &sealed), Some(&b"word"[..]));
        assert_eq!(seal.open("b", &sealed), None);
        assert_eq!(Seal::new("guess").open("a", &sealed), None);
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(seal.open("a", &damaged), None);
        }
        assert_eq!(seal.open("a", b"short"), None);
    }
}
