complete --keep-order --exclusive --command kubectl-stateful --arguments "(COMPLETE=fish kubectl-stateful -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
