//! What a cluster does, seen from outside; run by `e2e/run.sh cluster`.
//!
//! All tests share one cluster and run one after the other: some end a component or a node.

mod deletion;
mod deployments;
mod disruptions;
mod doors;
mod drains;
mod endpoints;
mod failures;
mod manifests;
mod network;
mod output;
mod pods;
mod pty;
mod rollouts;
mod scheduling;
mod services;
mod session;
mod simulated;
mod steps;
mod terminals;
mod traffic;
mod workloads;

use std::process::ExitCode;

use ferrule_e2e::{Cluster, Settings, runner, tests};

fn main() -> ExitCode {
    runner::run(
        || Cluster::start(Settings::of_tests()),
        tests![
            session::the_first_session_prints_what_upstream_prints,
            session::both_kubectls_say_the_same_of_what_is_wrong,
            output::both_kubectls_show_objects_alike,
            workloads::a_rolling_update_replaces_pods_and_its_status_says_so,
            workloads::an_update_that_cannot_start_leaves_the_old_pods_serving,
            workloads::a_deleted_pod_is_replaced,
            workloads::a_pod_that_fits_nowhere_says_why,
            scheduling::nodes_are_filled_no_further_than_requests_allow,
            scheduling::a_pod_waits_for_a_node_with_its_labels,
            scheduling::taints_keep_pods_away_that_do_not_tolerate_them,
            scheduling::a_host_port_is_given_once_on_a_node,
            scheduling::a_pod_with_gates_waits_until_they_are_gone,
            scheduling::anti_affinity_gives_each_pod_a_node_of_its_own,
            scheduling::spread_constraints_keep_nodes_even,
            scheduling::replicas_of_a_deployment_are_spread_over_nodes,
            scheduling::a_pod_of_higher_priority_makes_others_leave,
            scheduling::victims_that_end_slowly_are_waited_for,
            scheduling::the_scheduler_explains_its_scores,
            deployments::recreation_ends_old_pods_before_new_ones_come,
            deployments::old_replica_sets_beyond_the_limit_are_deleted,
            deployments::a_rollout_that_is_overtaken_gives_way_to_the_newest,
            deployments::scaling_in_mid_rollout_is_shared_in_proportion,
            deployments::undo_brings_back_each_of_ten_revisions,
            deployments::a_paused_deployment_is_scaled_and_rolls_nothing_out,
            deployments::a_rollout_without_progress_exceeds_its_deadline_and_is_undone,
            deployments::an_orphaned_replica_set_is_adopted_again,
            deployments::a_replica_set_adopts_matching_pods_and_releases_others,
            deployments::the_dearest_pod_stays_when_a_deployment_shrinks,
            deployments::a_name_that_is_taken_leads_to_another,
            deletion::orphaned_dependents_stay,
            deletion::an_owner_deleted_in_the_foreground_goes_last,
            deletion::an_owner_deleted_in_the_background_goes_at_once,
            deletion::a_circle_of_owners_blocks_nothing,
            deletion::a_dependent_with_another_owner_outlives_one_that_waits_for_it,
            deletion::absent_owners_are_told_from_unknown_ones,
            deletion::a_stuck_namespace_says_what_is_stuck,
            deletion::pods_of_a_namespace_go_before_the_rest,
            disruptions::an_eviction_waits_until_the_budget_allows_it,
            disruptions::a_budget_counts_what_the_controller_wants,
            disruptions::a_budget_without_pods_allows_nothing,
            pods::containers_of_a_pod_share_network_and_volumes,
            pods::environment_and_files_come_from_config_maps_and_secrets,
            pods::a_failing_liveness_probe_restarts_the_container,
            pods::a_pod_is_ready_only_when_its_readiness_probe_succeeds,
            pods::a_container_is_reported_with_its_real_exit_code,
            pods::logs_are_followed_cut_and_kept_of_the_previous_container,
            pods::exec_hands_on_input_output_and_exit_code,
            pods::a_memory_limit_ends_a_container_that_exceeds_it,
            pods::an_image_that_nobody_has_is_waited_for,
            terminals::exec_in_a_terminal_has_its_size_and_its_exit_code,
            terminals::exec_without_a_terminal_says_so_and_goes_on,
            terminals::attach_shows_output_and_feeds_input,
            terminals::port_forward_reaches_pods_services_and_their_ports_by_name,
            terminals::port_forward_carries_much_both_ways_and_ends_with_the_pod,
            terminals::files_and_folders_are_copied_both_ways,
            terminals::run_in_a_terminal_ends_with_the_pods_code_and_removes_it,
            terminals::logs_of_several_pods_are_told_apart,
            drains::a_drain_waits_for_a_budget_and_ends_when_it_allows,
            drains::a_drain_says_which_pods_stand_in_its_way,
            services::a_pod_finds_a_service_by_name_and_reaches_it,
            services::a_service_answers_only_from_ready_pods_and_rejects_without,
            services::a_headless_service_resolves_to_its_pods,
            services::a_pod_reaches_itself_through_its_service,
            services::pods_of_different_nodes_reach_each_other,
            services::a_taken_node_port_is_refused,
            traffic::a_client_keeps_its_pod_while_others_come_until_it_stays_away,
            traffic::the_local_policy_keeps_outside_traffic_on_the_node,
            traffic::the_internal_local_policy_keeps_pods_on_their_node,
            traffic::the_last_pod_serves_while_it_terminates,
            traffic::pods_that_are_not_ready_answer_where_that_is_asked_for,
            traffic::several_ports_of_two_protocols_lead_to_ports_by_number_and_name,
            traffic::the_proxy_tells_load_balancers_of_its_health,
            rollouts::a_rolling_update_with_a_pre_stop_sleep_loses_no_request,
            rollouts::a_rolling_update_without_a_pre_stop_sleep_loses_little,
            network::nodes_reach_each_others_pods_by_what_was_asked_for,
            network::a_node_whose_interface_is_taken_away_and_given_back_goes_on,
            network::a_node_that_leaves_is_forgotten_and_found_again_when_it_joins,
            endpoints::a_pod_that_ends_still_serves_until_it_is_gone,
            endpoints::pods_that_are_not_ready_are_published_where_that_is_asked_for,
            endpoints::endpoints_that_are_kept_by_hand_are_mirrored,
            doors::every_component_tells_its_health_and_its_services,
            doors::without_a_certificate_there_is_nothing_but_health,
            doors::a_certificate_of_another_authority_is_worth_nothing,
            simulated::simulated_nodes_join_run_pods_and_leave,
            failures::a_killed_component_is_back_within_ten_seconds_and_nothing_stops,
            failures::exit_codes_survive_the_death_of_kubelet_and_runtime,
            failures::pods_of_a_killed_node_are_replaced_and_the_node_comes_back_clean,
            failures::without_etcd_traffic_goes_on_and_writes_fail_clearly,
        ],
    )
}
