//! The campaign.
