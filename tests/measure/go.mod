module kubectl-stateful/measure

go 1.24.0
