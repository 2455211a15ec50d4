//! The API as upstream's clients see it: raw HTTPS against a control plane of processes, following what
//! upstream's conformance tests of [sig-api-machinery] look at.
//!
//! Upstream's `test/e2e/apimachinery`, `test/e2e/common` and `test/integration/apiserver` say what is expected;
//! texts are those that upstream's API server was recorded with.

mod stage;

mod applies;
mod chunking;
mod deletions;
mod discovery;
mod documents;
mod kinds;
mod lifecycles;
mod negotiation;
mod operations;
mod owners;
mod patches;
mod resumptions;
mod shares;
mod strictness;
mod subresources;
mod tables;
mod versions;
mod volumes;
mod watches;
mod writes;

use std::process::ExitCode;

use ferrule_e2e::runner::{Test, play};
use ferrule_e2e::{Extent, Processes, tests};
use stage::Stage;

type Run = fn(&Stage) -> anyhow::Result<()>;

const TESTS: &[Test<Run>] = tests![
    chunking::chunks_of_a_list_are_one_list_at_one_revision,
    chunking::what_is_written_between_chunks_is_not_in_them,
    chunking::a_selector_hides_how_many_remain,
    chunking::tables_and_metadata_come_in_chunks_too,
    chunking::a_malformed_token_or_limit_is_refused,
    chunking::an_expired_token_goes_on_inconsistently,
    versions::a_list_is_at_the_revision_that_was_asked_for,
    versions::a_get_is_not_older_than_what_was_asked_for,
    versions::an_exact_list_goes_on_at_its_revision,
    versions::initial_events_are_for_watches_only,
    watches::each_watch_sees_what_it_selects,
    resumptions::a_watch_starts_after_the_revision_that_it_names,
    resumptions::a_watch_resumes_where_another_one_ended,
    watches::an_object_that_leaves_a_selector_is_deleted_for_its_watchers,
    watches::a_field_selector_follows_a_pod_to_its_node,
    watches::concurrent_watches_see_the_same_order,
    watches::without_a_revision_a_watch_begins_with_what_is_there,
    watches::initial_events_end_with_a_bookmark,
    watches::options_that_contradict_each_other_are_refused,
    watches::a_bookmark_tells_the_revision_before_the_end,
    watches::a_watch_ends_at_its_timeout,
    watches::the_old_paths_below_watch_work,
    watches::a_watch_of_all_namespaces_sees_each,
    resumptions::a_watch_resumes_across_a_restart_of_the_server,
    resumptions::a_revision_that_is_too_old_is_told_with_410,
    watches::an_unknown_resource_cannot_be_watched,
    tables::a_pod_as_a_table_has_its_columns,
    tables::a_table_carries_as_much_of_the_object_as_is_wanted,
    tables::every_resource_that_can_be_listed_has_a_table,
    tables::a_watch_of_tables_has_the_columns_once,
    tables::metadata_alone_is_told_and_watched,
    tables::the_form_of_a_list_does_not_fit_one_object,
    tables::answers_that_are_no_objects_have_no_table,
    tables::an_unknown_form_falls_back_to_the_next,
    discovery::the_groups_of_the_stable_api_are_there_in_their_order,
    discovery::every_group_prefers_a_version_that_it_has,
    discovery::resources_say_what_they_are,
    discovery::aggregated_discovery_says_the_same,
    discovery::aggregated_discovery_is_sent_once_to_who_keeps_it,
    discovery::a_client_that_knows_no_aggregation_is_given_the_plain_list,
    discovery::what_is_not_there_is_said_so,
    discovery::the_version_is_that_of_kubernetes,
    documents::every_group_has_a_document_that_may_be_kept,
    documents::schemas_say_which_kind_they_are_of,
    documents::the_old_document_comes_as_json_and_as_protobuf,
    documents::documents_come_compressed,
    documents::health_is_told_by_check,
    documents::documents_that_are_no_objects_have_upstreams_line_breaks,
    documents::metrics_have_upstreams_names,
    documents::metrics_count_what_a_watch_is_sent,
    strictness::strict_writes_with_faults_are_refused,
    strictness::faults_are_warned_of_by_default,
    strictness::faults_are_ignored_when_asked_for,
    strictness::unknown_fields_are_told_with_their_path,
    strictness::yaml_tells_duplicates_by_line,
    strictness::apply_refuses_what_the_schema_does_not_have,
    strictness::an_unknown_mode_is_refused,
    applies::apply_creates_what_is_not_there,
    applies::what_changes_nothing_is_not_written,
    applies::conflicts_name_the_field_and_its_owner,
    applies::an_update_takes_a_field_and_apply_takes_it_back,
    shares::what_is_left_out_is_removed_unless_somebody_else_has_it,
    shares::a_list_item_goes_with_its_applier_though_others_wrote_in_it,
    shares::keys_of_lists_have_their_defaults,
    shares::sets_are_shared_item_by_item_and_atomic_values_whole,
    shares::two_appliers_share_a_map,
    applies::the_status_is_applied_to_its_subresource,
    applies::a_scale_is_applied_to_its_subresource,
    applies::a_dry_run_keeps_nothing,
    applies::what_cannot_be_applied_is_refused,
    applies::a_client_side_applied_object_becomes_a_server_side_one,
    applies::yaml_is_applied_as_text,
    owners::a_manager_is_named_by_the_query_or_the_agent,
    owners::managers_are_forgotten_with_their_last_field,
    owners::many_updaters_become_ancient_changes,
    owners::managed_fields_can_be_reset_in_every_write,
    owners::times_are_those_of_the_write,
    patches::a_json_patch_does_its_operations_in_order,
    patches::a_merge_patch_replaces_lists_and_null_removes,
    patches::a_strategic_merge_patch_merges_lists_by_key,
    patches::a_patch_that_cannot_be_applied_says_why,
    patches::patches_without_a_revision_never_conflict,
    patches::a_patch_with_a_revision_is_for_that_state_only,
    subresources::everything_with_replicas_is_scaled_the_same_way,
    subresources::a_status_is_written_apart_from_the_rest,
    subresources::a_generation_counts_changes_of_what_is_wanted,
    subresources::a_pod_is_bound_once,
    subresources::an_ephemeral_container_is_added_and_stays,
    writes::an_object_is_answered_as_it_is_kept,
    writes::what_only_the_server_sets_cannot_be_given,
    writes::an_update_needs_the_revision_that_it_was_made_from,
    writes::some_kinds_must_be_updated_from_a_revision,
    writes::an_update_creates_where_upstream_lets_it,
    writes::names_are_generated,
    writes::a_dry_run_answers_and_keeps_nothing,
    writes::a_refusal_names_every_fault,
    writes::what_does_not_fit_its_address_is_refused,
    writes::a_large_object_can_be_made,
    deletions::a_delete_answers_with_what_was_deleted,
    deletions::preconditions_hold_or_it_stays,
    deletions::malformed_options_are_refused,
    deletions::a_finalizer_holds_what_is_deleted,
    deletions::dependents_follow_their_owner_as_it_was_asked,
    deletions::a_pod_has_its_grace,
    deletions::a_collection_is_deleted_as_it_is_selected,
    deletions::a_job_warns_that_its_pods_stay,
    deletions::some_namespaces_stay,
    negotiation::each_encoding_can_be_asked_for,
    negotiation::each_encoding_can_be_sent,
    negotiation::a_refusal_is_in_the_encoding_that_was_asked_for,
    negotiation::large_answers_are_compressed_when_that_is_taken,
    negotiation::people_are_answered_with_line_breaks,
    negotiation::methods_without_a_meaning_are_refused,
    negotiation::paths_may_be_escaped_and_end_with_a_slash,
    negotiation::every_answer_has_an_audit_id_and_is_not_to_be_kept,
    negotiation::who_comes_without_a_certificate_is_told_so,
    negotiation::who_would_act_as_another_is_refused,
    negotiation::every_request_for_endpoints_is_told_of_their_successor,
    negotiation::too_many_requests_are_told_to_come_again,
    negotiation::an_eviction_that_must_wait_is_told_so,
    operations::every_kind_supports_its_operations,
    operations::what_is_not_kept_is_answered_only,
    lifecycles::a_namespace_takes_all_that_is_in_it_along,
    lifecycles::a_namespace_is_patched_and_finalized,
    lifecycles::what_is_immutable_stays_so,
    lifecycles::an_event_is_found_by_what_it_regards,
    lifecycles::a_lease_is_handed_over,
    lifecycles::a_service_has_an_address_of_its_own,
    lifecycles::a_deployment_makes_its_replica_sets,
    lifecycles::a_priority_is_resolved_when_a_pod_is_made,
    lifecycles::a_pod_may_change_little,
    volumes::claims_and_volumes_are_held,
    volumes::a_claim_goes_when_no_pod_uses_it_any_more,
    volumes::a_volume_goes_when_it_is_not_bound_any_more,
];

fn main() -> ExitCode {
    play(|| Processes::start(Extent::ControlPlane), TESTS, stage::one)
}
