"""Calls about jobs."""

from fastapi import APIRouter

from core import covers
from core.api.gate import Here, Viewer
from core.api.problems import described
from core.api.shapes import JobRow, job_row
from core.database import reading
from core.text import storable

router = APIRouter(prefix="/jobs", tags=["Jobs"])


@router.get("/{job_id}", responses=described(401, 403, 404))
def get_job(app: Here, _actor: Viewer, job_id: str) -> JobRow:
    """Return how far a job is."""
    with reading(app.engine) as session:
        return job_row(covers.get_job(session, storable(job_id)))
