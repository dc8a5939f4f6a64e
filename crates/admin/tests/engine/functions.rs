use crate::process::Process;

const FIRST: &str = "#!lua name=lib\nredis.register_function('one', function() return 1 end)\n";
const SECOND: &str = "#!lua name=lib\nredis.register_function('two', function() return 2 end)\n";

#[tokio::test]
async fn a_library_takes_the_place_of_the_one_before_and_is_read_back_word_for_word() {
    let process = Process::server(&[]);
    let server = process.connect().await;
    let functions = server.functions();
    assert_eq!(functions.code("lib").await.unwrap(), None);
    for code in [FIRST, SECOND, SECOND] {
        functions.load(code).await.unwrap();
        assert_eq!(functions.code("lib").await.unwrap().as_deref(), Some(code));
    }
    assert_eq!(functions.code("other").await.unwrap(), None);
}

#[tokio::test]
async fn a_library_whose_functions_are_anothers_is_refused() {
    let process = Process::server(&[]);
    let server = process.connect().await;
    server.functions().load(FIRST).await.unwrap();
    let same = FIRST.replace("name=lib", "name=other");
    let refused = server.functions().load(&same).await.unwrap_err();
    assert_eq!(refused.code(), Some("ERR"));
    assert!(refused.to_string().contains("one"), "{refused}");
}
