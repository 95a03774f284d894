//! What every store must do, whatever database is behind it: written against the trait, run on each of them.
//!
//! Another store needs a function in `fixtures` that opens it empty, and one more line `suite!(…)` below. What only an
//! embedded store can promise (its lock file, its clock) is in `embedded`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    dead_code,
    missing_docs,
    reason = "a test may stop at once; a part of the services is another's"
)]

mod fixtures;
#[path = "../cluster/harness/proxy.rs"]
mod proxy;
#[path = "../services/mod.rs"]
mod services;

mod accepted;
mod backfill;
mod changes;
mod dead_letters;
mod dispatch;
mod embedded;
mod execution;
mod generations;
mod ingest;
mod late;
mod lists;
mod mastership;
mod model;
mod operations;
mod patching;
mod pauses;
mod plans;
mod races;
mod reading;
mod recovery;
mod reports;
mod retention;
mod sessions;
mod settling;
mod shared;
mod silent;
mod walk;

/// One `#[test]` per store and function. A function that is not listed is reported as dead code.
macro_rules! suite {
    (@ $store:ident $module:ident: $($test:ident),+ $(,)?) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    if let Some(fixture) = Option::from(crate::fixtures::$store()) {
                        crate::$module::$test(&fixture);
                    }
                }
            )+
        }
    };
    ($store:ident) => {
        mod $store {
            suite!(@ $store ingest:
                a_new_task_is_stored_as_it_was_asked_for,
                the_same_document_again_is_the_same_task,
                another_document_under_a_known_id_is_a_conflict,
                fingerprints_are_told_of_what_is_stored,
                a_batch_may_name_an_id_twice,
                an_empty_batch_is_nothing,
                what_has_ended_is_never_scheduled_again_by_a_redelivery,
                what_is_dispatched_is_not_scheduled_by_a_redelivery,
                a_stopped_partition_is_not_taken_in_until_its_offset_is_set,
                an_offset_moves_only_from_where_it_was_expected,
                a_topic_made_anew_begins_anew,
                what_cannot_be_read_is_kept_once_with_its_reason,
                large_dead_letters_are_read_by_their_beginnings_and_few_at_once,
                a_cancel_stops_what_is_still_in_the_topic,
                a_repeated_cancel_counts_from_where_the_topic_ends_then,
                a_tombstone_goes_when_everything_before_it_is_ingested,
            );
            suite!(@ $store accepted:
                it_is_kept_wherever_the_task_goes,
                the_first_submission_says_when,
                it_is_never_later_than_the_task_was_stored,
            );
            suite!(@ $store dispatch:
                scheduled_ones_come_in_the_order_of_instant_and_id,
                a_cursor_goes_through_many_tasks_of_one_instant,
                only_what_is_due_until_then_and_scheduled_is_read,
                the_oldest_due_task_tells_how_far_behind_all_is,
                what_is_due_in_between_is_counted_no_further_than_asked,
                a_claim_assigns_and_counts,
                a_claim_needs_the_expected_instant,
                a_large_claim_takes_each_of_its_orders_once_and_for_its_own_generation,
                a_task_is_claimed_once,
                one_claim_may_name_several_generations,
                a_deposed_master_claims_nothing,
                a_claim_for_a_generation_that_is_not_alive_is_refused,
                claims_of_one_task_are_numbered,
                only_the_overdue_expires,
                expiring_needs_the_expected_instant_and_the_fence,
            );
            suite!(@ $store pauses:
                a_claim_that_does_not_know_of_a_pause_is_refused,
                a_label_holds_back_what_has_it_and_nothing_else,
                without_a_label_everything_is_held_back,
                what_is_parked_is_shown_as_it_is_really_due,
                only_what_is_still_as_expected_is_parked,
                the_same_pause_again_is_the_same,
                only_what_changes_something_is_counted,
                resumed_again_the_new_pace_counts,
                the_oldest_is_let_go_first_and_with_the_last_the_pause_is_gone,
                a_step_goes_on_where_the_last_has_ended_and_the_last_from_the_oldest_on,
                no_more_are_let_go_at_once_than_fit_into_a_short_transaction,
                what_matches_another_pause_is_parked_again,
                what_was_due_before_a_paced_resume_takes_its_turn_even_if_it_was_not_parked,
                a_paced_pause_waits_for_nobody_elses_backlog,
                a_pause_that_is_being_resumed_may_be_paused_again,
                a_parked_task_is_cancelled_as_it_was_due,
                a_parked_task_submitted_again_is_the_same,
                what_is_paused_expires_when_it_is_let_go,
                a_deposed_master_neither_parks_nor_lets_go,
                there_are_only_so_many_pauses,
            );
            suite!(@ $store execution:
                assignments_come_once_in_order_with_whole_tasks,
                assignments_of_others_are_not_shown,
                what_was_settled_is_not_assigned_any_more,
                done_rows_go_and_only_their_owners,
                only_an_alive_generation_starts,
                a_start_shows_in_the_task,
            );
            suite!(@ $store settling:
                a_success_ends_the_task,
                a_failure_ends_the_task,
                a_loss_makes_it_unknown,
                a_retry_schedules_it_again_and_counts,
                what_was_not_sent_goes_back_and_counts_nothing,
                what_was_given_back_leaves_no_attempt,
                a_retried_task_tells_every_attempt,
                settling_twice_changes_nothing,
                of_two_outcomes_in_one_batch_the_first_counts,
                an_older_claim_is_stale,
                an_older_claim_is_stale_beside_the_current_one,
                another_generations_outcome_is_stale,
                a_batch_is_answered_in_its_order,
                a_large_batch_settles_just_what_is_its_own,
                two_claims_of_one_task_in_a_large_batch_settle_once,
                a_batch_that_cannot_be_applied_changes_nothing,
                an_unknown_task_id_is_stale,
                a_master_may_be_deposed_before_the_outcome,
            );
            suite!(@ $store late:
                its_own_late_success_settles_an_unknown,
                its_own_late_failure_settles_an_unknown,
                its_own_late_retry_schedules_an_unknown_again,
                a_late_not_sent_gives_the_start_back,
                a_late_loss_says_nothing_new,
                another_claims_outcome_settles_no_unknown,
                a_late_outcome_does_not_overwrite_a_resolution,
                a_late_outcome_does_not_disturb_a_re_fire,
            );
            suite!(@ $store generations:
                a_generation_is_shown_as_it_was_registered,
                a_heartbeat_moves_the_counter,
                a_farewell_marks_it_gone,
                draining_gives_back_the_unstarted_only,
                draining_twice_gives_back_nothing_more,
                what_is_started_is_settled_while_draining,
                standing_only_goes_forward,
                a_dead_one_is_told_by_its_heartbeat,
                loads_tell_what_was_assigned_and_settled,
            );
            suite!(@ $store reports:
                the_last_report_of_each_is_shown,
                minutes_are_kept_for_a_day,
                the_last_minute_ends_with_its_generation,
            );
            suite!(@ $store recovery:
                without_a_start_record_it_is_scheduled_again,
                a_started_one_is_settled_by_its_delivery,
                a_spent_budget_is_unknown_even_at_least_once,
                only_what_is_not_settled_is_recovered,
                recovering_twice_finds_nothing_more,
                a_deposed_master_recovers_nothing,
                a_dead_generation_starts_and_gets_nothing,
                a_draining_generation_is_recovered_too,
                a_recovery_leaves_others_alone,
                what_was_recovered_can_be_claimed_again,
            );
            suite!(@ $store changes:
                a_scheduled_task_is_cancelled_once,
                a_cancelled_task_is_not_claimed,
                what_is_dispatched_or_has_ended_is_not_cancelled,
                an_id_that_is_not_there_is_not_found,
                an_unknown_task_is_resolved_as_succeeded,
                an_unknown_task_is_resolved_as_failed,
                an_unknown_task_is_fired_again,
                only_an_unknown_task_is_resolved,
            );
            suite!(@ $store patching:
                a_patch_changes_what_it_names,
                a_moved_task_is_claimed_at_its_new_instant_only,
                a_task_that_waits_for_a_retry_is_moved_too,
                only_a_scheduled_task_is_changed,
                what_does_not_fit_is_left_as_it_is,
                the_same_document_is_the_same_task_after_a_patch,
                what_waits_for_a_pause_is_due_when_it_is_said,
                a_task_that_is_run_is_due_now,
                a_failed_task_is_tried_again,
                one_task_is_run_or_retried_from_its_state_only,
            );
            suite!(@ $store operations:
                every_state_and_every_operation,
                an_operation_tells_when_what_it_scheduled_is_due,
                an_operation_takes_each_of_its_tasks_once,
                what_an_operation_ends_leaves_no_pause_behind,
                ids_are_paged_as_a_list_is,
                many_failed_ones_are_tried_again_batch_by_batch,
            );
            suite!(@ $store races:
                a_claim_and_a_patch,
                a_claim_and_a_run,
                a_claim_and_a_mixture_of_operations,
            );
            suite!(@ $store reading:
                live_and_ended_tasks_are_found_with_their_payload,
                lists_carry_no_payload,
                a_list_shows_the_newest_first,
                a_list_is_filtered_by_state,
                a_list_is_filtered_by_all_labels,
                a_list_is_filtered_by_creation,
                filters_hold_together,
                paging_sees_each_once_while_others_come_and_go,
                every_kind_of_task_comes_back_as_it_was,
            );
            suite!(@ $store lists:
                every_filter_and_pair_of_filters_shows_just_what_it_should,
                every_task_is_shown_once_while_all_move_to_history,
                no_page_misses_a_task_that_moves_meanwhile,
                a_look_is_bounded_and_goes_on,
                dispatched_ones_are_found_however_many_are_held,
                tags_are_written_for_what_is_stored_only,
            );
            suite!(@ $store retention:
                only_what_has_been_finished_long_enough_is_removed,
                the_oldest_goes_first_and_no_more_than_asked_for,
                a_batch_goes_on_where_the_last_has_ended,
                one_that_cannot_be_read_goes_with_the_others,
                a_batch_is_bounded_whatever_is_asked_for,
                an_id_is_free_again_when_its_task_is_removed,
                what_is_revived_is_not_removed,
                removing_at_once_removes_each_once,
            );
            suite!(@ $store dead_letters:
                they_are_shown_by_pages_the_newest_first,
                each_is_read_with_its_record_as_it_came,
                each_is_replayed_once_and_counted_no_more,
                replayed_ones_go_in_time_and_others_never,
            );
            suite!(@ $store mastership:
                before_the_first_reign_there_is_no_epoch,
                epochs_rise_by_one,
                every_reign_is_told_the_newest_first,
                only_the_current_reign_is_renewed,
                resigning_ends_the_reign_at_once,
                a_deposed_master_ends_no_other_reign,
                a_take_over_leaves_claims_alone,
                what_is_not_alive_takes_nothing_over,
            );
            suite!(@ $store walk: the_store_agrees_with_the_model);
        }
    };
}

suite!(sqlite);
suite!(postgres);
