"""When a schedule fires: cron expressions, intervals, moments, and APScheduler's triggers."""
