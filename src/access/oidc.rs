//! Bearer tokens that somebody else's login gives: JSON Web Tokens of one issuer, by OpenID Connect.
//!
//! Knows no network and no file: the keys are handed in as text, and put in force while it is in use.
//!
//! Invariant: which signatures count is decided here and by the key, never by the token: RS256 with an RSA key, ES256 with
//! one of P-256. A token that names another algorithm, or none, is nobody's.
//! Invariant: nothing of a token is believed, not even to tell what is wrong with it, before its signature is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

use super::{Identity, Role};
use crate::time::{Clock, SECOND};

/// The longest token that is looked at, bytes.
const TOKEN_MAX: usize = 16 << 10;
/// The most keys of an issuer.
const KEYS_MAX: usize = 100;
/// By how much the clocks of issuer and callpulse may differ.
const LEEWAY_SECS: f64 = 60.0;
/// What stands before the name of a user who came in by a token of the issuer. No user of the users file has such a name.
const PREFIX: &str = "oidc:";

/// Whose tokens count, and what their claims mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The claim `iss`, letter by letter.
    pub issuer: String,
    /// What the claim `aud` is, or has among others.
    pub audience: String,
    /// The claim that names the user. Claims within claims are named with dots: `realm_access.roles`.
    pub user_claim: String,
    /// The claim with a word, or words, that stand for roles.
    pub role_claim: String,
    /// What these words stand for; of several that a token has, the first one here holds.
    pub roles: Vec<(String, Role)>,
    /// The claim with the user's departments: a text or a list of texts.
    pub departments_claim: String,
    /// The claim that says which agent the user is.
    pub agent_claim: String,
}

/// Why a token lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The issuer has not signed it: it may be a guess.
    Unknown,
    /// The issuer has signed it, but it is not for here, or not for now.
    Unfit(&'static str),
}

impl Denied {
    /// What is said to who shows it.
    pub fn reason(self) -> &'static str {
        match self {
            Denied::Unknown => "the token or password is wrong",
            Denied::Unfit(why) => why,
        }
    }
}

/// One key of the issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    id: Option<String>,
    public: Public,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Public {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point of P-256, uncompressed.
    P256(Vec<u8>),
}

/// The public keys of the issuer: a JSON Web Key Set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(Vec<Key>);

#[derive(Deserialize)]
struct RawKeys {
    keys: Vec<RawKey>,
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Keys {
    /// Reads a key set. Keys for other uses and of other kinds are left out, since issuers publish them too.
    ///
    /// # Errors
    /// A text that is none, a key that is broken, or no key that can be used.
    pub fn parse(text: &str) -> Result<Keys, String> {
        let raw: RawKeys = serde_json::from_str(text).map_err(|error| format!("no key set: {error}"))?;
        if raw.keys.len() > KEYS_MAX {
            return Err(format!("{} keys, more than {KEYS_MAX}", raw.keys.len()));
        }
        let mut keys = Vec::new();
        for key in raw.keys {
            if key.usage.as_deref().is_some_and(|usage| usage != "sig") {
                continue;
            }
            let name = key.kid.clone().unwrap_or_default();
            let part = |part: &Option<String>, what: &str| {
                let bytes = part.as_deref().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
                bytes
                    .filter(|bytes| !bytes.is_empty())
                    .ok_or_else(|| format!("the key `{name}` has no `{what}`"))
            };
            let public = match (key.kty.as_str(), key.crv.as_deref(), key.alg.as_deref()) {
                ("RSA", _, None | Some("RS256")) => {
                    let n = part(&key.n, "n")?;
                    if n.len() < 256 {
                        return Err(format!("the key `{name}` is shorter than 2048 bits"));
                    }
                    Public::Rsa { n, e: part(&key.e, "e")? }
                }
                ("EC", Some("P-256"), None | Some("ES256")) => {
                    let (x, y) = (part(&key.x, "x")?, part(&key.y, "y")?);
                    if x.len() != 32 || y.len() != 32 {
                        return Err(format!("the key `{name}` is no point of P-256"));
                    }
                    Public::P256([&[4], x.as_slice(), y.as_slice()].concat())
                }
                _ => continue,
            };
            keys.push(Key { id: key.kid, public });
        }
        if keys.is_empty() {
            return Err("no key for RS256 or ES256 is in it".to_owned());
        }
        Ok(Keys(keys))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Key {
    /// Whether this key has signed it by this algorithm.
    fn has_signed(&self, algorithm: &str, signed: &[u8], signature: &[u8]) -> bool {
        match (&self.public, algorithm) {
            (Public::Rsa { n, e }, "RS256") => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature).is_ok()
            }
            (Public::P256(point), "ES256") => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature).is_ok()
            }
            _ => false,
        }
    }
}

/// What a token says of itself.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

/// Tells who shows a token of the issuer. Its keys may be replaced while it is in use.
pub struct Oidc {
    options: Options,
    keys: ArcSwap<Keys>,
    clock: Arc<dyn Clock>,
    /// A token has named a key that is not there: the issuer may have new ones.
    wants_keys: AtomicBool,
}

impl fmt::Debug for Oidc {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Oidc").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Oidc {
    /// With these keys; without any, nobody comes in until there are.
    pub fn new(options: Options, keys: Keys, clock: Arc<dyn Clock>) -> Oidc {
        Oidc { options, keys: ArcSwap::from_pointee(keys), clock, wants_keys: AtomicBool::new(false) }
    }

    /// Puts other keys in force; tells whether they are others.
    pub fn replace_keys(&self, keys: Keys) -> bool {
        let before = self.keys.swap(Arc::new(keys));
        *before != **self.keys.load()
    }

    /// Whether a token has named a key that was not there, since this was asked last.
    pub fn wants_keys(&self) -> bool {
        self.wants_keys.swap(false, Ordering::Relaxed)
    }

    /// Who shows this token.
    ///
    /// # Errors
    /// Why nobody does.
    pub fn identity(&self, token: &str) -> Result<Identity, Denied> {
        let claims = self.signed_claims(token).ok_or(Denied::Unknown)?;
        self.check(&claims).map_err(Denied::Unfit)?;
        self.person(&claims).map_err(Denied::Unfit)
    }

    /// The claims of a token that a key of the issuer has signed.
    fn signed_claims(&self, token: &str) -> Option<Value> {
        if token.len() > TOKEN_MAX {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.').filter(|(_, claims)| !claims.contains('.'))?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        // What must be understood is not understood here.
        if header.crit.is_some() || !["RS256", "ES256"].contains(&header.alg.as_str()) {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let keys = self.keys.load();
        let named = |key: &&Key| header.kid.is_none() || key.id == header.kid;
        if !keys.0.iter().any(|key| named(&key)) {
            self.wants_keys.store(true, Ordering::Relaxed);
            return None;
        }
        let by = |key: &Key| key.has_signed(&header.alg, signed.as_bytes(), &signature);
        keys.0.iter().filter(named).find(|key| by(key))?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }

    /// Whether it is for here and for now.
    fn check(&self, claims: &Value) -> Result<(), &'static str> {
        if claims["iss"].as_str() != Some(&self.options.issuer) {
            return Err("the token is of another issuer");
        }
        if !words(&claims["aud"]).any(|audience| audience == self.options.audience) {
            return Err("the token is for another audience");
        }
        let now = self.clock.now() as f64 / SECOND as f64;
        let Some(expires) = claims["exp"].as_f64() else { return Err("the token never expires") };
        if now >= expires + LEEWAY_SECS {
            return Err("the token has expired");
        }
        match (&claims["nbf"], claims["nbf"].as_f64()) {
            (Value::Null, _) => Ok(()),
            (_, Some(begins)) if now + LEEWAY_SECS >= begins => Ok(()),
            _ => Err("the token is not valid yet"),
        }
    }

    /// Who the claims say it is.
    fn person(&self, claims: &Value) -> Result<Identity, &'static str> {
        let options = &self.options;
        let user = claim(claims, &options.user_claim).as_str().filter(|user| !user.is_empty());
        let user = user.ok_or("the token names no user")?;
        let has = |word: &str| words(claim(claims, &options.role_claim)).any(|own| own == word);
        let role = options.roles.iter().find(|(word, _)| has(word)).map(|(_, role)| *role);
        let role = role.ok_or("the token has no role that is known here")?;
        let agent_id = claim(claims, &options.agent_claim).as_str().filter(|id| !id.is_empty());
        let departments: Vec<String> = words(claim(claims, &options.departments_claim))
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        match role {
            Role::Agent if agent_id.is_none() => return Err("the token says not which agent the user is"),
            Role::Lead if departments.is_empty() => return Err("the token has no department of the lead"),
            _ => {}
        }
        Ok(Identity {
            user: format!("{PREFIX}{user}"),
            role,
            agent_id: agent_id.map(str::to_owned),
            departments,
        })
    }
}

/// A claim, or one within others: `realm_access.roles`. A claim whose own name has dots goes first, as issuers like names
/// that are addresses.
fn claim<'c>(claims: &'c Value, name: &str) -> &'c Value {
    match claims.get(name) {
        Some(value) => value,
        None => name.split('.').fold(claims, |within, part| &within[part]),
    }
}

/// A text, or the texts of a list.
fn words(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    value.as_str().into_iter().chain(list.iter().filter_map(Value::as_str))
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use ring::rand::SystemRandom;
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    };
    use serde_json::json;

    use super::*;
    use crate::time::{Millis, ScaledClock};

    /// A key that was made for this test, and opens nothing.
    const RSA: &str = "\
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDASQf6J8CEz+Hcln4KjT0YfVy8ZPuwFrhfIbYa42Rb1LtlMtsrfqvZqom0
4porrQYWx89XVI//m7lFJ6EVzSICs4+TuTbTUTXGUof6VhUSRYFlIJ3K9uXsNOydUk8F3Dwo2RV3UGqOYdxhHASVxW9pNxzs8KFaRUk8MH9s
iJ4AmFMvDzHV6BWNp1wNIZKJ3eRZbw7q8qA9ntoT70Q4q5Ac8O5CYTSn1AL2BS6uapJWP9O5NG2j+e9EOpPE09ALV9OkpYBPmFhMCYIIe/G7
tK8m1mJ04C7sj7CWa+xlb/hzCSZwbgr+MYqVJ36msjav7XlRbr+ph6dZEuAbbpkr8JYhAgMBAAECggEAI2XeaNQkGh8N8Jaozeb54hYD+i+p
8N0B5It3c4Q8f7ZOKD9gPyXS25+MOcdEg/lWh1+RwT0xRChGB1/YBQQuOGqXaiW83NKUsHWVkEWEHAi9HSGPwuNIaP9GNuEF6KmGTqvGCqC8
eQk1cZAfnPXLgIZTlh/nSE+8f27bKl8NHUUbKOwCQClw4QVbpEu/xjsCRbVQGWqSHhbAJ/g/KzKaUAQXpKEGzKiShDIMWe0fjVUl/HuNmp4x
RKxEzbpgz30pmI+lom7vLsaeLYSCcrxU3xf728UJ2Fyz6GY3KU8LVP8bLQTx55yk5YskZMCLfdkJiFfll8jnb4LthrHsWqVUpQKBgQD7cf/C
LfnYX+HRKs7I9OrYaarHbeEv+osVxt0IbdmuFIwaH6Zs0XaFfXUE+M4xiHzK93sWYkdkHHLP/p4HNEmtanigyIFdXDnWYzs6B5eZ6BjSBAkA
IXGpy/2ippDaOdPRPmXmm3mnVA/hdjcbYwWGAq0qrjY7llQrWnLDdKTltQKBgQDDxLIMYqRI/52a7tAgKRJ2CA97n6ltqMmHCZ+3xRMLuFDj
4s3jw0KmXrDRVrs5uZK7vXwUiSEyam7n8nf/QjNL4XGMkM0dbyObn1bhoyzPJnVmY+jssufT8AiFbwVMYlpcf1L85sXRVLq9kPbZiO78rEj2
/jQxT1asst0ZKfayPQKBgGk4pl9639/FF/lw4YHEw/X2GgpEmAR84vEk++AIIByx6oMQFZPZ/7AS9QI0oAyoYhiJgc+3JsrlAMK7eSPopKBW
Os6FuWT5MBbgBavd+3njX2ebWqzcUfVNMQF8lIdNxa79XqUnELyN9+tQjfT+9hPDUPXYW0eKPAS8X+QdDtg1AoGBAMOZ3zBCytTpGcb4v9iy
UPC/wwCJGZcooxsagYvzC8GVCrV3IrJkoU5rpA21s+HMShDtFXHLRfECqQd1m3He6jPx8Cs7bsXvCsvuG7fc+uOLEJgaUVtWsg1vcoQn1kpo
ptJuoTNxPMuX9fF8Szg0+lxZo5mtieaO2BI7sG/5HrUdAoGAAcblnEbh7yvB5kPDYEFwjK7soThPPP8ZNMKcf2GdzOyN9hw59xJr26rhUKDw
P+BzQdJkBXwbZNT7EsqOqX1LDm+qHoMYaRp369c59hKgPpIY1E59fM7MMudsktf2NLQnEFU7pCO/0KIgerhsr2/3XOk0B4ElJVbZxknh0wfV
1+o=";
    const NOW: Millis = 1_800_000_000_000;

    fn coded(bytes: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// An issuer with a key of each kind.
    struct Issuer {
        chance: SystemRandom,
        rsa: RsaKeyPair,
        point: EcdsaKeyPair,
    }

    impl Issuer {
        fn new() -> Issuer {
            let chance = SystemRandom::new();
            let rsa = STANDARD.decode(RSA.replace('\n', "")).expect("base64");
            let rsa = RsaKeyPair::from_pkcs8(&rsa).expect("a key");
            let made =
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &chance).expect("a key");
            let point = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &chance)
                .expect("it");
            Issuer { chance, rsa, point }
        }

        fn keys(&self) -> Value {
            let point = self.point.public_key().as_ref();
            let rsa = RsaPublicKeyComponents::<Vec<u8>>::from(self.rsa.public_key());
            json!({ "keys": [
                { "kty": "RSA", "kid": "r", "use": "sig", "alg": "RS256", "n": coded(&rsa.n), "e": coded(&rsa.e) },
                { "kty": "EC", "kid": "p", "crv": "P-256", "x": coded(&point[1..33]), "y": coded(&point[33..]) },
                { "kty": "RSA", "kid": "for encryption", "use": "enc", "n": "AQAB", "e": "AQAB" },
                { "kty": "OKP", "kid": "unknown", "crv": "Ed25519", "x": "AQAB" },
            ] })
        }

        fn sign(&self, header: &Value, claims: &Value) -> String {
            let signed = format!("{}.{}", coded(header.to_string()), coded(claims.to_string()));
            let signature = match header["alg"].as_str() {
                Some("RS256") => {
                    let mut signature = vec![0; self.rsa.public().modulus_len()];
                    self.rsa
                        .sign(&RSA_PKCS1_SHA256, &self.chance, signed.as_bytes(), &mut signature)
                        .expect("a signature");
                    signature
                }
                Some("ES256") => {
                    let signature = self.point.sign(&self.chance, signed.as_bytes()).expect("a signature");
                    signature.as_ref().to_vec()
                }
                _ => Vec::new(),
            };
            format!("{signed}.{}", coded(signature))
        }
    }

    fn options() -> Options {
        Options {
            issuer: "https://login.example/centre".to_owned(),
            audience: "callpulse".to_owned(),
            user_claim: "preferred_username".to_owned(),
            role_claim: "realm_access.roles".to_owned(),
            roles: vec![
                ("cp-lead".to_owned(), Role::Lead),
                ("cp-agent".to_owned(), Role::Agent),
                ("cp-analyst".to_owned(), Role::Analyst),
            ],
            departments_claim: "departments".to_owned(),
            agent_claim: "agent_id".to_owned(),
        }
    }

    fn claims() -> Value {
        json!({
            "iss": "https://login.example/centre", "aud": ["other", "callpulse"], "sub": "1", "preferred_username": "li",
            "exp": NOW / 1000 + 300, "nbf": NOW / 1000 - 10, "iat": NOW / 1000 - 10,
            "realm_access": { "roles": ["offline_access", "cp-agent", "cp-lead"] }, "departments": ["retail", ""],
        })
    }

    fn door(keys: &Value) -> Oidc {
        let keys = Keys::parse(&keys.to_string()).expect("keys");
        Oidc::new(options(), keys, Arc::new(ScaledClock::new(NOW, 0.0)))
    }

    fn rs256() -> Value {
        json!({ "alg": "RS256", "typ": "JWT", "kid": "r" })
    }

    #[test]
    fn a_token_of_the_issuer_says_who_comes_in() {
        let issuer = Issuer::new();
        let door = door(&issuer.keys());
        let want = Identity {
            user: "oidc:li".to_owned(),
            role: Role::Lead,
            agent_id: None,
            departments: vec!["retail".to_owned()],
        };
        for header in [rs256(), json!({ "alg": "ES256", "kid": "p" }), json!({ "alg": "ES256" })] {
            assert_eq!(door.identity(&issuer.sign(&header, &claims())), Ok(want.clone()), "{header}");
        }
        assert!(!door.wants_keys());
    }

    #[test]
    fn what_the_issuer_has_not_signed_is_nobodys() {
        let (issuer, other) = (Issuer::new(), Issuer::new());
        let door = door(&issuer.keys());
        let good = issuer.sign(&rs256(), &claims());
        let parts: Vec<&str> = good.split('.').collect();
        let forged = claims().to_string().replace("cp-agent", "cp-admin");
        let header = |header: Value| issuer.sign(&header, &claims());
        let unsigned = |alg: &str| {
            let header = coded(json!({ "alg": alg, "kid": "r" }).to_string());
            format!("{header}.{}.", parts[1])
        };
        // The public key as the secret of a MAC, which is what HS256 would take it for.
        let hs256 =
            format!("{}.{}.{}", coded(json!({ "alg": "HS256", "kid": "r" }).to_string()), parts[1], parts[2]);
        let wrong = [
            ("no algorithm", unsigned("none")),
            ("no algorithm, written otherwise", unsigned("None")),
            ("an algorithm without a signature", unsigned("RS256")),
            ("an algorithm that is not taken", hs256),
            ("no algorithm at all", format!("{}.{}.", coded("{}"), parts[1])),
            ("another key of the same name", other.sign(&json!({ "alg": "ES256", "kid": "p" }), &claims())),
            ("another key without a name", other.sign(&json!({ "alg": "ES256" }), &claims())),
            ("the key of another kind", header(json!({ "alg": "ES256", "kid": "r" }))),
            (
                "the key that is not for signatures",
                header(json!({ "alg": "RS256", "kid": "for encryption" })),
            ),
            ("other claims", format!("{}.{}.{}", parts[0], coded(forged), parts[2])),
            ("no signature", format!("{}.{}", parts[0], parts[1])),
            ("four parts", format!("{good}.{}", parts[2])),
            ("padding", format!("{good}=")),
            (
                "what must be understood",
                header(json!({ "alg": "RS256", "kid": "r", "crit": ["b64"], "b64": false })),
            ),
            ("too long", issuer.sign(&rs256(), &json!({ "x": "x".repeat(TOKEN_MAX) }))),
            ("nothing", String::new()),
            ("a token of the users file", super::super::new_token()),
        ];
        for (what, token) in wrong {
            assert_eq!(door.identity(&token), Err(Denied::Unknown), "{what}");
        }
        assert!(door.identity(&good).is_ok());
    }

    #[test]
    fn a_token_must_be_for_here_and_for_now() {
        let issuer = Issuer::new();
        let door = door(&issuer.keys());
        let with = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            door.identity(&issuer.sign(&rs256(), &claims)).map(|who| who.role)
        };
        let (secs, unfit) = (NOW / 1000, |why| Err(Denied::Unfit(why)));
        assert_eq!(with("exp", json!(secs - 61)), unfit("the token has expired"));
        assert_eq!(with("exp", json!(secs - 59)), Ok(Role::Lead));
        assert_eq!(with("exp", Value::Null), unfit("the token never expires"));
        assert_eq!(with("exp", json!("never")), unfit("the token never expires"));
        assert_eq!(with("nbf", json!(secs + 61)), unfit("the token is not valid yet"));
        assert_eq!(with("nbf", json!(secs + 59)), Ok(Role::Lead));
        assert_eq!(with("nbf", json!("soon")), unfit("the token is not valid yet"));
        assert_eq!(with("nbf", Value::Null), Ok(Role::Lead));
        assert_eq!(with("aud", json!("another")), unfit("the token is for another audience"));
        assert_eq!(with("aud", json!(["another"])), unfit("the token is for another audience"));
        assert_eq!(with("aud", Value::Null), unfit("the token is for another audience"));
        assert_eq!(with("aud", json!("callpulse")), Ok(Role::Lead));
        assert_eq!(
            with("iss", json!("https://login.example/centre/")),
            unfit("the token is of another issuer")
        );
        assert_eq!(with("iss", Value::Null), unfit("the token is of another issuer"));
    }

    #[test]
    fn a_role_has_what_it_needs_or_is_none() {
        let issuer = Issuer::new();
        let door = door(&issuer.keys());
        let with = |more: Value| {
            let mut claims = claims();
            for (name, value) in more.as_object().into_iter().flatten() {
                claims[name] = value.clone();
            }
            door.identity(&issuer.sign(&rs256(), &claims))
        };
        let roles = |roles: Value| json!({ "realm_access": { "roles": roles } });
        let unfit = |why| Err(Denied::Unfit(why));
        assert_eq!(with(roles(json!(["cp-admin"]))), unfit("the token has no role that is known here"));
        assert_eq!(with(json!({ "realm_access": null })), unfit("the token has no role that is known here"));
        assert_eq!(with(json!({ "preferred_username": "" })), unfit("the token names no user"));
        assert_eq!(with(json!({ "departments": [] })), unfit("the token has no department of the lead"));
        let agent = with(roles(json!("cp-agent")));
        assert_eq!(agent, unfit("the token says not which agent the user is"));
        let mut more = roles(json!("cp-agent"));
        more["agent_id"] = json!("li");
        let agent = with(more).expect("an agent");
        assert_eq!((agent.role, agent.agent_id.as_deref()), (Role::Agent, Some("li")));
        // A claim whose name is an address has dots of its own.
        let claims = json!({ "https://example.com/role": "x" });
        assert_eq!(claim(&claims, "https://example.com/role"), "x");
    }

    #[test]
    fn who_comes_from_elsewhere_takes_no_name_of_the_users_file() {
        use super::super::{Access, Users};
        let issuer = Issuer::new();
        let text = "[[user]]\nname = \"li\"\nrole = \"admin\"\n";
        let access = Access::of(Users::parse("users.toml", text).expect("users"))
            .with_oidc(Some(Arc::new(door(&issuer.keys()))));
        let token = issuer.sign(&rs256(), &claims());
        let who = access.by_token(&token).expect("the issuer says so");
        assert_eq!((who.user.as_str(), who.role), ("oidc:li", Role::Lead));
        assert_eq!(access.by_name(&who.user), None);
        let login = access.log_in(&who);
        assert_eq!(access.by_token(&login), Err(Denied::Unknown));
        // Without users there is nobody to come in beside them.
        let access = Access::local_only().with_oidc(Some(Arc::new(door(&issuer.keys()))));
        assert_eq!(access.by_token(&token), Err(Denied::Unknown));
    }

    #[test]
    fn other_keys_take_force() {
        let (issuer, next) = (Issuer::new(), Issuer::new());
        let door = door(&issuer.keys());
        let mut keys = next.keys();
        keys["keys"][1]["kid"] = json!("next");
        let token = next.sign(&json!({ "alg": "ES256", "kid": "next" }), &claims());
        assert_eq!(door.identity(&token), Err(Denied::Unknown));
        assert!(door.wants_keys() && !door.wants_keys());
        let keys = Keys::parse(&keys.to_string()).expect("keys");
        assert!(door.replace_keys(keys.clone()) && !door.replace_keys(keys));
        assert!(door.identity(&token).is_ok());
        let old = issuer.sign(&json!({ "alg": "ES256", "kid": "p" }), &claims());
        assert_eq!(door.identity(&old), Err(Denied::Unknown));
    }

    #[test]
    fn a_key_set_is_whole_or_refused() {
        let mut keys = Issuer::new().keys();
        assert_eq!(Keys::parse(&keys.to_string()).expect("keys").len(), 2);
        keys["keys"][1]["y"] = json!("AQAB");
        assert_eq!(Keys::parse(&keys.to_string()), Err("the key `p` is no point of P-256".to_owned()));
        keys["keys"][0]["n"] = json!(coded([1; 128]));
        assert_eq!(Keys::parse(&keys.to_string()), Err("the key `r` is shorter than 2048 bits".to_owned()));
        assert!(Keys::parse("{\"keys\":[]}").is_err() && Keys::parse("<html>").is_err());
    }
}
