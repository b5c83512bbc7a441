//! Runs two thousand scenarios, which is fast enough for every test run.

use tokensink_simulation::run_scenario;

#[test]
fn two_thousand_scenarios_violate_no_invariant() {
    for seed in 0..2_000 {
        if let Err(violation) = run_scenario(seed) {
            panic!("{violation}");
        }
    }
}

#[test]
fn a_seed_determines_the_scenario() {
    for seed in 0..50 {
        let once = run_scenario(seed).map_err(|violation| violation.what);
        let again = run_scenario(seed).map_err(|violation| violation.what);
        assert_eq!(once, again);
        assert!(once.is_ok());
    }
}
