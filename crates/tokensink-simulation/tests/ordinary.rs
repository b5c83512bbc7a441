//! Two thousand lives: what every test run can afford.

use tokensink_simulation::live;

#[test]
fn nothing_is_found_in_two_thousand_lives() {
    for seed in 0..2_000 {
        if let Err(finding) = live(seed) {
            panic!("{finding}");
        }
    }
}

#[test]
fn a_seed_is_one_life_to_the_last_step() {
    for seed in 0..50 {
        let once = live(seed).map_err(|finding| finding.what);
        let again = live(seed).map_err(|finding| finding.what);
        assert_eq!(once, again);
        assert!(once.is_ok());
    }
}
