use super::*;

fn counted(keyspaces: &[(&str, &str)]) -> Vec<CountedKeyspace> {
    let keyspaces = keyspaces.iter();
    keyspaces
        .map(|&(name, key)| CountedKeyspace {
            name: name.to_owned(),
            key: key.to_owned(),
        })
        .collect()
}

#[test]
fn keys_are_counted_for_the_one_keyspace_that_they_are_of() {
    let keyspaces = counted(&[
        ("task", "task:{id}"),
        ("result", "task:result:{id}"),
        ("mail", "user:{id}:mail"),
        ("name", "user:{id}:name"),
        ("all", "tasks:all"),
    ]);
    let mut census = Census::new(&keyspaces);
    assert!(census.is_of(&keyspaces) && !census.is_of(&keyspaces[1..]));
    for key in [
        "task:1",
        "task:2",
        "task:result:1",
        "user:1:mail",
        "user:2:name",
        "user:3:name",
        "user:4",
        "tasks:all",
        "tasks:all:1",
        "events:task:created:stream",
    ] {
        census.saw(key.as_bytes());
    }
    let keys: Vec<(String, u64)> = census.result().into_iter().collect();
    let expected = [
        ("all", 1),
        ("mail", 1),
        ("name", 2),
        ("result", 1),
        ("task", 2),
    ];
    assert_eq!(keys, expected.map(|(name, keys)| (name.to_owned(), keys)));
}
