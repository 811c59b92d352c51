// A page that was opened as a file may not read other files, so results of a search have no summaries there.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
