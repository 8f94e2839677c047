"""Small C kernels where libraries are slow, each with its twin in torch; compiled once by the system's compiler."""
