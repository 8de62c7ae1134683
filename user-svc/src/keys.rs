//! The keys of access tokens. The signing key comes from a secret file (Ed25519, PKCS#8 in PEM:
//! what `openssl genpkey -algorithm ed25519` writes; `chassis::secret_file`); public keys that
//! are about to be used, or were until now, come from files beside it. A key is named by its
//! thumbprint, so that two processes never use one name for two keys. Private keys leave this
//! module only inside `SigningKey`, which can't be printed.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use base64::{
    Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD,
};
use chassis::secret_file::{self, Unusable};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey,
    jwk::{AlgorithmParameters, Jwk, ThumbprintHash},
};
use secrecy::{ExposeSecret as _, SecretSlice, zeroize::Zeroizing};

use crate::Config;

/// What stands before the 32 bytes of an Ed25519 private key in PKCS#8 version 1 (RFC 8410).
const PKCS8_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// What stands before the 32 bytes of an Ed25519 public key in a SubjectPublicKeyInfo (RFC 8410).
const SPKI_HEAD: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Long enough that no two keys of a shop share it; short, since it stands in each token.
const KEY_ID_LEN: usize = 16;
/// A PEM of either kind has about 120 bytes.
const FILE_LEN_MAX: u64 = 4096;

/// Why there is no key. Each is one sentence for the one who starts the process.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no such file, or it can't be read or written.
    #[error("key file {path}: {source}")]
    File {
        /// As configured.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file of the signing key can't be read, or others can read it.
    #[error(transparent)]
    Secret(#[from] Unusable),
    /// The file is not a key of the kind that is wanted.
    #[error("key file {path} is not {wanted}")]
    NotAKey {
        /// As configured.
        path: PathBuf,
        /// Which kind, and how to make one.
        wanted: &'static str,
    },
}

const WANTED_PRIVATE: &str = "an Ed25519 private key in PKCS#8 PEM \
                              (openssl genpkey -algorithm ed25519)";
const WANTED_PUBLIC: &str = "an Ed25519 public key in PEM (openssl pkey -pubout)";

/// A public key and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The `kid` of the tokens that it checks.
    pub key_id: String,
    /// The raw key.
    pub ed25519: [u8; 32],
}

/// The key that signs, and its public half.
#[derive(Debug, Clone)]
pub(crate) struct SigningKey {
    /// Prints as `[redacted]`.
    pub(crate) private: EncodingKey,
    pub(crate) public: PublicKey,
}

/// Makes a new signing key in a file of mode 0600, durable when this returns.
///
/// # Errors
/// Refuses to overwrite anything, since tokens of the old key would be void: the path must be free.
pub fn generate(path: &Path) -> Result<PublicKey, KeyError> {
    let seed = Zeroizing::new(rand::random::<[u8; 32]>());
    let der = SecretSlice::from([PKCS8_HEAD.as_slice(), seed.as_slice()].concat());
    let body = Zeroizing::new(STANDARD.encode(der.expose_secret()));
    let pem = Zeroizing::new(format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        body.as_str()
    ));
    write_new(path, pem.as_bytes()).map_err(|source| at(path, source))?;
    load_signing(path).map(|key| key.public)
}

/// The signing key of a file.
pub(crate) fn load_signing(path: &Path) -> Result<SigningKey, KeyError> {
    let not_a_key = || KeyError::NotAKey { path: path.to_owned(), wanted: WANTED_PRIVATE };
    let pem = secret_file::read(path)?;
    let der = unwrap_pem(pem.expose_secret(), "PRIVATE KEY").ok_or_else(not_a_key)?;
    if der.len() != PKCS8_HEAD.len() + 32 || !der.starts_with(&PKCS8_HEAD) {
        return Err(not_a_key());
    }
    let private = EncodingKey::from_ed_der(&der);
    let public = Jwk::from_encoding_key(&private, Algorithm::EdDSA).map_err(|_| not_a_key())?;
    let public = named(&public).ok_or_else(not_a_key)?;
    Ok(SigningKey { private, public })
}

/// The public key of a file.
pub(crate) fn load_public(path: &Path) -> Result<PublicKey, KeyError> {
    let not_a_key = || KeyError::NotAKey { path: path.to_owned(), wanted: WANTED_PUBLIC };
    let file = File::open(path).map_err(|source| at(path, source))?;
    let pem = read_text(file).map_err(|source| at(path, source))?;
    let der = unwrap_pem(&pem, "PUBLIC KEY").ok_or_else(not_a_key)?;
    let raw = der.strip_prefix(&SPKI_HEAD).filter(|raw| raw.len() == 32).ok_or_else(not_a_key)?;
    let public = DecodingKey::from_ed_der(raw);
    let public =
        Jwk::from_decoding_key(&public, Some(Algorithm::EdDSA)).map_err(|_| not_a_key())?;
    named(&public).ok_or_else(not_a_key)
}

/// The signing key's public half first, then the further ones of the configuration.
pub(crate) fn all_public(
    config: &Config,
    signing_key: &SigningKey,
) -> Result<Vec<PublicKey>, KeyError> {
    let further = config.further_public_key_files.iter().map(|file| load_public(file));
    std::iter::once(Ok(signing_key.public.clone())).chain(further).collect()
}

/// Names a key by the start of its RFC 7638 thumbprint.
fn named(key: &Jwk) -> Option<PublicKey> {
    let AlgorithmParameters::OctetKeyPair(pair) = &key.algorithm else {
        return None;
    };
    let ed25519 = URL_SAFE_NO_PAD.decode(&pair.x).ok()?.try_into().ok()?;
    let mut key_id = key.thumbprint(ThumbprintHash::SHA256).ok()?;
    key_id.truncate(KEY_ID_LEN);
    Some(PublicKey { key_id, ed25519 })
}

fn read_text(file: File) -> std::io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_LEN_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// The bytes between the lines of a PEM with this label.
fn unwrap_pem(pem: &str, label: &str) -> Option<Zeroizing<Vec<u8>>> {
    let body = pem
        .trim()
        .strip_prefix(&format!("-----BEGIN {label}-----"))?
        .strip_suffix(&format!("-----END {label}-----"))?;
    let body: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    STANDARD.decode(body.as_bytes()).ok().map(Zeroizing::new)
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn at(path: &Path, source: std::io::Error) -> KeyError {
    KeyError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
