//! `notify-keyspace-events`: letters in any order become the engines' own order.

/// What `A` stands for.
const ALL: &str = "g$lshzxetd";
/// Every letter, in the order in which `CONFIG GET` prints them.
const ORDER: &str = "g$lshzxetdnKEm";

pub(super) fn normal(text: &str) -> Result<String, String> {
    if !text.chars().all(|c| c == 'A' || ORDER.contains(c)) {
        return Err(format!("letters of A{ORDER}"));
    }
    let has = |letter: char| text.contains(letter) || (text.contains('A') && ALL.contains(letter));
    let all = ALL.chars().all(has);
    let mut normal = String::new();
    if all {
        normal.push('A');
    }
    for letter in ORDER.chars().filter(|letter| has(*letter)) {
        // Engines print no `n` beside `A`, set or not.
        if !(all && (ALL.contains(letter) || letter == 'n')) {
            normal.push(letter);
        }
    }
    Ok(normal)
}
