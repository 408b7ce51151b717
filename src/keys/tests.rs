use std::time::Duration;

use super::{Error, Keys, Scope, Scopes};
use crate::store::Store;

fn scopes(list: &[Scope]) -> Scopes {
    list.iter().copied().collect()
}

fn open(store: &Store, data: &std::path::Path) -> Keys {
    Keys::open(store.clone(), None, data).unwrap()
}

#[tokio::test]
async fn a_key_is_known_by_itself_and_nothing_of_it_is_stored() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(&data.path().join("trae.db")).unwrap();
    let keys = open(&store, data.path());
    let (key, made) = keys.create(" desk ", scopes(&[Scope::Desktop])).await.unwrap();
    assert!(key.starts_with("trae_") && key.len() == 48, "{key}");
    let known = keys.identify(&key).await.unwrap();
    assert_eq!((known.key.id.as_str(), known.key.name.as_str()), (made.id.as_str(), "desk"));
    assert!(known.scopes.open(Scope::Desktop) && !known.scopes.open(Scope::Read));
    for wrong in ["", "trae_", "trae_x", &key[..47], &key.to_uppercase(), "Bearer", "a.b.c"] {
        assert!(matches!(keys.identify(wrong).await, Err(Error::Unknown)), "{wrong}");
    }
    store.close();
    let file = std::fs::read(data.path().join("trae.db")).unwrap();
    assert!(!file.windows(20).any(|window| window == &key.as_bytes()[5..25]), "the key is in the database");
}

#[tokio::test]
async fn last_use_is_noted_and_names_and_scopes_are_checked() {
    let store = Store::in_memory().unwrap();
    let data = tempfile::tempdir().unwrap();
    let keys = open(&store, data.path());
    let (key, _) = keys.create("a", scopes(&[Scope::Read])).await.unwrap();
    assert_eq!(keys.list().await.unwrap()[0].last_used(), None);
    keys.identify(&key).await.unwrap();
    let noted = async {
        while keys.list().await.unwrap()[0].last_used().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), noted).await.unwrap();
    for (name, list) in [("", &[Scope::Read][..]), ("  ", &[Scope::Read]), ("a\nb", &[Scope::Read]), ("ok", &[])] {
        assert!(matches!(keys.create(name, scopes(list)).await, Err(Error::Invalid { .. })), "{name:?}");
    }
    assert!(keys.create(&"x".repeat(129), scopes(&[Scope::Read])).await.is_err());
}

#[tokio::test]
async fn what_another_process_makes_and_revokes_is_seen_at_once() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("trae.db");
    let (here, there) = (Store::open(&path).unwrap(), Store::open(&path).unwrap());
    let (server, cli) = (open(&here, data.path()), open(&there, data.path()));
    let (first, _) = cli.create("first", scopes(&[Scope::Read])).await.unwrap();
    server.identify(&first).await.unwrap();
    let (second, made) = cli.create("second", scopes(&[Scope::Read])).await.unwrap();
    server.identify(&second).await.unwrap();
    cli.revoke(&made.id).await.unwrap();
    let refused = async {
        while server.identify(&second).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused).await.unwrap();
    server.identify(&first).await.unwrap();
    assert!(matches!(cli.revoke(&made.id).await, Err(Error::Store(_))));
}

#[tokio::test]
async fn a_token_stands_for_its_key_and_ends_with_it() {
    let store = Store::in_memory().unwrap();
    let data = tempfile::tempdir().unwrap();
    let keys = open(&store, data.path());
    let (key, made) = keys.create("a", scopes(&[Scope::Read, Scope::Shell])).await.unwrap();
    let token = keys.token(&keys.identify(&key).await.unwrap());
    let known = keys.identify(&token).await.unwrap();
    assert_eq!((known.key.id.as_str(), known.scopes), (made.id.as_str(), scopes(&[Scope::Read, Scope::Shell])));
    // The same secret, kept in the data folder; another one elsewhere.
    assert!(open(&store, data.path()).identify(&token).await.is_ok());
    let other = tempfile::tempdir().unwrap();
    assert!(matches!(open(&store, other.path()).identify(&token).await, Err(Error::Unknown)));
    keys.revoke(&made.id).await.unwrap();
    assert!(matches!(keys.identify(&token).await, Err(Error::Unknown)));
}
